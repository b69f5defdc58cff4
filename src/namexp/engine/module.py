"""The steps of a training as Lightning wants them, but for what only a task knows.

Letters: S rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from namexp.engine.checkpoint import updates_of
from namexp.engine.optimisation import build_optimizer, build_scheduler
from namexp.ranks.shared import agreed, rank
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig


class Optimisation(NamedTuple):
    """How parameters learn.

    Attributes:
        optimizer: class and arguments.
        scheduler: class and arguments.
        gradient_clip_norm: greatest norm of what is clipped together; None: as it comes.
        scaled_gradients: whether the precision multiplies the loss, as half precision does.
    """

    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    gradient_clip_norm: float | None = None
    scaled_gradients: bool = False


class TaskModule(pl.LightningModule, ABC):
    """Counts updates, steps optimisers and schedules, logs rows, validates in the first process.

    A task fills in ``training_step``, ``validate`` and ``validated``. With one group of parameters
    ``training_step`` returns the loss. With several it calls ``learn`` for each and returns nothing.

    Attributes:
        network: what learns; checkpoints hold its weights under this name.
        row_suffixes: of the rows' metrics; a single row has the suffix ``""``.
        updates: batches learned from, the only counter of steps.
        row_is_due: whether the step that goes on is one that loggers get a row of. Only then anything is
            logged: Lightning's ``log`` takes about a millisecond for each value, and a GPU is waited for.
    """

    def __init__(
        self,
        network: nn.Module,
        optimisation: Optimisation,
        *,
        row_suffixes: tuple[str, ...] = ("",),
        description: dict[str, Any] | None = None,
    ) -> None:
        """Put a network to work.

        Args:
            network: what learns.
            optimisation: how.
            row_suffixes: of the rows' metrics.
            description: plain values stored in every checkpoint, from which the network is rebuilt.
        """
        super().__init__()
        self.network = network
        self.row_suffixes = row_suffixes
        self.updates = 0
        self.row_is_due = False
        self._told: dict[str, Tensor | float] = {}
        self._optimisation = optimisation
        self._description = description or {}
        self._schedules: list[Any] = []
        self._stored_schedules: list[dict[str, Any]] | None = None
        self._found: list[Any] = []

    # --- what a task fills in -----------------------------------------------------------------------

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """What learns together, by a suffix for what is logged of it: an optimiser and a schedule each."""
        return {"": [p for p in self.parameters() if p.requires_grad]}

    def clipped_together(self, group: str) -> list[list[nn.Parameter]]:
        """The parameters of a group whose gradients have one norm."""
        return [self._groups[group]]

    @abstractmethod
    def validate(self, batch: Any) -> Any:
        """What one batch of the validation says. Called in the first process only, in full precision."""

    @abstractmethod
    def validated(self, found: list[Any]) -> Mapping[str, Tensor]:
        """(S,) values by metric of all that ``validate`` found; ``val_loss`` among them."""

    def idle_parameters(self) -> bool:
        """Whether a parameter takes no part in a loss, so that processes must not wait for its gradient."""
        return not self.automatic_optimization

    # --- training -----------------------------------------------------------------------------------

    @cached_property
    def _groups(self) -> dict[str, list[nn.Parameter]]:
        return dict(self.parameter_groups())

    @property  # type: ignore[misc]
    def automatic_optimization(self) -> bool:
        """Whether Lightning makes the steps; with several groups the task does."""
        return len(self._groups) == 1

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """See whether a row is due: every so many updates, and at the last one."""
        del batch, batch_idx
        trainer: Any = self.trainer  # Lightning sets its log_every_n_steps from outside
        self.row_is_due = trainer.should_stop or (self.updates + 1) % trainer.log_every_n_steps == 0

    def tell(self, name: str, value: Tensor | float) -> None:
        """Into the row that is written after this step, where one is due."""
        self._told[name] = value

    def learn(self, group: str, loss: Tensor) -> None:
        """One step of a group of several: gradients, clipping, update."""
        optimizer = self._optimizer_of(group)
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def _optimizer_of(self, group: str) -> Any:
        optimizers: Any = self.optimizers()
        return optimizers[list(self._groups).index(group)]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip what is clipped together; log the norm of all gradients and the learning rate."""
        group, clip = self._group_of(optimizer), self._optimisation.gradient_clip_norm
        if clip is not None:
            for parameters in self._clipped[group]:
                torch.nn.utils.clip_grad_norm_(parameters, clip)
        if self.row_is_due:
            suffix = f"_{group}" if group else ""
            grads = [p.grad for p in self._groups[group] if p.grad is not None]
            self.tell(f"train/grad_norm{suffix}", torch.nn.utils.get_total_norm(grads))
            self.tell(f"train/lr{suffix}", optimizer.param_groups[0]["lr"])

    def _group_of(self, optimizer: torch.optim.Optimizer) -> str:
        first = optimizer.param_groups[0]["params"][0]
        return next(name for name, own in self._groups.items() if own[0] is first)

    @cached_property
    def _clipped(self) -> dict[str, list[list[nn.Parameter]]]:
        """Looking for them takes longer than clipping them."""
        return {group: self.clipped_together(group) for group in self._groups}

    def configure_optimizers(self) -> Any:
        """An optimiser for each group and, unless null, a schedule."""
        how = self._optimisation
        optimizers = [
            build_optimizer(parameters, how.optimizer, scaled_gradients=how.scaled_gradients)
            for parameters in self._groups.values()
        ]
        if how.scheduler.name is not None:
            self._schedules = [build_scheduler(optimizer, how.scheduler) for optimizer in optimizers]
        return optimizers if len(optimizers) > 1 else optimizers[0]

    # Schedules are stepped here: Lightning steps them after the end of an epoch has been saved, so that
    # a continued run would repeat a learning rate.

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the batch, log what it told, go on with schedules over steps."""
        del outputs, batch, batch_idx
        self.updates += 1
        # all from one hook: in an epoch's first batch Lightning forgets what a hook logged before another one
        for name, value in self._told.items():
            self.log(name, value, on_step=True, on_epoch=False)
        self._told.clear()
        if self._optimisation.scheduler.interval == "step":
            for schedule in self._schedules:
                schedule.step()

    def on_train_epoch_end(self) -> None:
        """Go on with schedules over epochs; a plateau is looked for where there was a validation."""
        scheduler = self._optimisation.scheduler
        if not self._schedules or scheduler.interval == "step":
            return
        if scheduler.name != "ReduceLROnPlateau":
            for schedule in self._schedules:
                schedule.step()
        elif (self.current_epoch + 1) % (self.trainer.check_val_every_n_epoch or 1) == 0:
            for schedule in self._schedules:
                schedule.step(float(self.trainer.callback_metrics[scheduler.monitor]))

    # --- validation ---------------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._found = []

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Look at one batch; it is scored when all are there."""
        del batch_idx
        if rank() > 0:
            return  # the first process validates, so that all decide by the same numbers
        with torch.autocast(self.device.type, enabled=False):  # scored as it will be used
            self._found.append(self.validate(batch))

    def on_validation_epoch_end(self) -> None:
        """Log every metric of every row, and the mean over rows."""
        metrics = agreed(lambda: dict(self.validated(self._found)))
        self._found = []
        for name, values in metrics.items():
            self.log(name, values.mean().float())
            for suffix, value in zip(self.row_suffixes, values, strict=True):
                if suffix:  # the only row is the mean
                    self.log(f"{name}{suffix}", value.float())

    def of_rows(self, metric: str, logged: Mapping[str, Tensor]) -> list[float]:
        """A metric of each row among what the last validation logged."""
        return [float(logged[f"{metric}{suffix}"]) for suffix in self.row_suffixes]

    # --- checkpoints --------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what the network is, so that a checkpoint explains itself, the counter and the schedules."""
        checkpoint["namexp"] = self._description
        checkpoint["updates"] = self.updates
        states = [schedule.state_dict() for schedule in self._schedules]
        if states:
            checkpoint["schedule"] = states if len(states) > 1 else states[0]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the counter; keep the schedules' state until the optimisers' is back."""
        self.updates = updates_of(checkpoint)
        stored = checkpoint.get("schedule")
        self._stored_schedules = [stored] if isinstance(stored, dict) else stored

    def on_train_start(self) -> None:
        """Continue the schedules."""
        for schedule, state in zip(self._schedules, self._stored_schedules or [], strict=False):
            schedule.load_state_dict(state)
        self._stored_schedules = None

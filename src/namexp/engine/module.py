"""The steps of a training as Lightning wants them, but for what only a task knows.

Letters: S rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from namexp.engine.checkpoint import updates_of
from namexp.engine.optimisation import build_optimizer, build_scheduler
from namexp.engine.optimizers.warmup_cosine import WarmupCosine
from namexp.errors import UserError
from namexp.ranks.shared import agreed, rank
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig


class Optimisation(NamedTuple):
    """How a group of parameters learns.

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

    @classmethod
    def of(cls, config: ExperimentConfig) -> Optimisation:
        """What the config's own groups say."""
        return cls(
            config.optimizer,
            config.scheduler,
            gradient_clip_norm=config.trainer.gradient_clip_norm,
            scaled_gradients=config.trainer.precision == "16-mixed",
        )


class TaskModule(pl.LightningModule, ABC):
    """Counts updates, steps optimisers and schedules, logs rows, validates in the first process.

    A task fills in ``training_step``, ``validate`` and ``validated``. With one group of parameters
    ``training_step`` returns the loss. With several it calls ``learn`` for each and returns nothing. A batch
    from which nothing can be learned is left by ``skip``.

    Attributes:
        network: what learns; checkpoints hold its weights under this name.
        row_suffixes: of the rows' metrics; a single row has the suffix ``""``.
        description: plain values stored in every checkpoint, from which the network is rebuilt.
        last_checkpoint: of the training; what is good where a loss is not.
        updates: batches learned from, the only counter of steps.
        out_of_memory: batches that were left because the device could not hold them.
        total_steps: batches of the whole training, for schedules that reach to its end; infinite until a
            training by time knows.
        row_is_due: whether the step that goes on is one that loggers get a row of. Only then anything is
            logged: Lightning's ``log`` takes about a millisecond for each value, and a GPU is waited for.
    """

    def __init__(self, network: nn.Module, optimisation: Optimisation) -> None:
        """Put a network to work.

        Args:
            network: what learns.
            optimisation: how; ``optimisation_of`` may say otherwise of a group.
        """
        super().__init__()
        self.network = network
        self.row_suffixes: tuple[str, ...] = ("",)
        self.description: dict[str, Any] = {}
        self.last_checkpoint: Path | None = None
        self.updates = 0
        self.out_of_memory = 0
        self.total_steps: float = 1
        self.row_is_due = False
        self.optimisation = optimisation
        self._told: dict[str, Tensor | float] = {}
        self._names: list[str] = []
        self._skipped = False
        self._watched: tuple[Tensor, ...] = ()
        self._let_go_squares: Tensor | float = 0.0
        self._have_learned: set[str] = set()  # groups that have: the schedules of others wait
        self._schedules: dict[str, Any] = {}
        self._stored_schedules: list[dict[str, Any]] | None = None
        self._found: list[Any] = []

    # --- what a task fills in -----------------------------------------------------------------------

    def parameter_groups(self) -> Mapping[str, list[nn.Parameter]]:
        """What learns together, by a suffix for what is logged of it: an optimiser and a schedule each."""
        return {"": [p for p in self.parameters() if p.requires_grad]}

    def optimisation_of(self, group: str) -> Optimisation:
        """How a group learns: as the others, unless a task says otherwise."""
        del group
        return self.optimisation

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

    # Lightning's has a setter, and who may set it here would have two truths
    @property  # type: ignore[misc]
    def automatic_optimization(self) -> bool:
        """Whether Lightning makes the steps; with several groups the task does."""
        return len(self._groups) == 1

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """See whether a row is due: every so many batches, and at the last one."""
        del batch, batch_idx
        trainer: Any = self.trainer
        seen = trainer.fit_loop.epoch_loop._batches_that_stepped  # by which Lightning writes rows
        self.row_is_due = trainer.should_stop or (seen + 1) % trainer.log_every_n_steps == 0
        self._skipped = False

    def tell(self, name: str, value: Tensor | float) -> None:
        """Into the row that is written after this step; asked for only where ``row_is_due``."""
        self._told[name] = value

    def watch(self, *losses: Tensor) -> None:
        """Remember what this step minimised: a training ends where that is no number any more.

        Looked at on the CPU in every step, elsewhere only where a row is due: a device would be waited for.

        Raises:
            UserError: a loss is not finite; it names the last good checkpoint.
        """
        self._watched = tuple(loss.detach() for loss in losses)
        if self.row_is_due or self.device.type == "cpu":
            self._check_watched()

    def _check_watched(self) -> None:
        if all(bool(torch.isfinite(loss)) for loss in self._watched):
            return
        last = self.last_checkpoint
        there = last is not None and last.exists()
        good = f"the last good checkpoint is {last}" if there else "no epoch was finished before"
        limits = [f"trainer.gradient_clip_norm{f'_{group}' if group else ''}" for group in self._groups]
        raise UserError(
            f"batch {self.updates + 1}: the loss is not finite ({good}); lower optimizer.lr, or set "
            f"{' and '.join(limits)}."
        )

    def skip(self) -> None:
        """Nothing is learned from this batch: it counts for no schedule, and its row is empty.

        Of several processes all leave a batch, or none.
        """
        self._skipped = True

    def end_batch(self) -> None:
        """Count the batch, log what it told, go on with schedules over steps; before anybody looks."""
        if self._skipped:
            self._told = dict.fromkeys(self._names, float("nan")) if self.row_is_due else {}
        # all from one hook: in an epoch's first batch Lightning forgets what a hook logged before another one
        for name, value in self._told.items():
            self.log(name, value, on_step=True, on_epoch=False)
        self._names = list(self._told) or self._names
        self._told = {}
        if self._skipped:
            return
        self.updates += 1
        for group, schedule in self._schedules.items():
            if self.optimisation_of(group).scheduler.interval == "step" and self._has_learned(group):
                schedule.step()

    def end_at(self, total_steps: int) -> None:
        """The training's length has become known."""
        self.total_steps = total_steps
        for schedule in self._schedules.values():
            if isinstance(schedule, WarmupCosine):
                schedule.end_at(total_steps)

    def learn(self, group: str, losses: Tensor | Iterable[Tensor], *, apart: bool = False) -> None:
        """One step of a group of several: gradients, clipping, update.

        Args:
            group: what learns.
            losses: from what. Of several the gradients add up, and each is asked for when the one before has
                given its own, so that what it needs is not kept together.
            apart: whether no parameter learns from two of the losses. Then each makes its own update at once
                and lets its gradients go, unless all of them are clipped together.
        """
        optimizer = self._optimizer_of(group)
        optimizer.zero_grad()
        apart = apart and self.optimisation_of(group).gradient_clip_norm is None
        for loss in [losses] if isinstance(losses, Tensor) else losses:
            self.manual_backward(loss)
            if apart:
                self._let_go(group, optimizer)
        optimizer.step()  # of what has a gradient still; Lightning counts it
        self._have_learned.add(group)

    def _has_learned(self, group: str) -> bool:
        """Whether a schedule has begun; a group that stands alone learns from the first batch on."""
        return self.automatic_optimization or group in self._have_learned

    def _let_go(self, group: str, optimizer: Any) -> None:
        """Update what has a gradient, and forget that."""
        if self.row_is_due:
            self._let_go_squares += self._norm(group).square()
        optimizer.optimizer.step()
        optimizer.zero_grad()

    def _norm(self, group: str) -> Tensor:
        """Of the gradients that a group has."""
        return torch.nn.utils.get_total_norm([p.grad for p in self._groups[group] if p.grad is not None])

    def unless_out_of_memory(self, step: Callable[[], None]) -> None:
        """Make a step of several groups; the batch is left, and counted, where the device cannot hold it."""
        try:
            step()
        except torch.OutOfMemoryError:
            self.zero_grad(set_to_none=True)
            torch.cuda.empty_cache()
            self.out_of_memory += 1
            self.skip()

    def _optimizer_of(self, group: str) -> Any:
        optimizers: Any = self.optimizers()
        return optimizers[list(self._groups).index(group)]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Tell the gradients' norm as it comes, and the learning rate; clip what is clipped together."""
        group = self._group_of(optimizer)
        if self.row_is_due:
            suffix = f"_{group}" if group else ""
            before, self._let_go_squares = self._let_go_squares, 0.0
            self.tell(f"train/grad_norm{suffix}", (self._norm(group).square() + before).sqrt())
            self.tell(f"train/lr{suffix}", optimizer.param_groups[0]["lr"])
        clip = self.optimisation_of(group).gradient_clip_norm
        if clip is not None:
            for parameters in self._clipped[group]:
                torch.nn.utils.clip_grad_norm_(parameters, clip)

    def _group_of(self, optimizer: torch.optim.Optimizer) -> str:
        first = optimizer.param_groups[0]["params"][0]
        return next(name for name, own in self._groups.items() if own[0] is first)

    @cached_property
    def _clipped(self) -> dict[str, list[list[nn.Parameter]]]:
        """Looking for them takes longer than clipping them."""
        return {group: self.clipped_together(group) for group in self._groups}

    def configure_optimizers(self) -> Any:
        """An optimiser for each group and, unless null, a schedule."""
        optimizers = []
        for group, parameters in self._groups.items():
            how = self.optimisation_of(group)
            optimizers.append(
                build_optimizer(
                    parameters,
                    how.optimizer,
                    scaled_gradients=how.scaled_gradients,
                    together=self._clipped[group],
                )
            )
            if how.scheduler.name is not None:
                self._schedules[group] = build_scheduler(
                    optimizers[-1], how.scheduler, total_steps=self.total_steps
                )
        return optimizers if len(optimizers) > 1 else optimizers[0]

    # Schedules are stepped here: Lightning steps them after the end of an epoch has been saved, so that
    # a continued run would repeat a learning rate.

    def on_train_epoch_end(self) -> None:
        """Go on with schedules over epochs; a plateau is looked for where there was a validation.

        Before the epoch is saved: a checkpoint of what is not finite is never written.
        """
        self._check_watched()
        for group, schedule in self._schedules.items():
            how = self.optimisation_of(group).scheduler
            if how.interval == "step" or not self._has_learned(group):
                continue
            if how.name != "ReduceLROnPlateau":
                schedule.step()
            elif (self.current_epoch + 1) % (self.trainer.check_val_every_n_epoch or 1) == 0:
                schedule.step(float(self.trainer.callback_metrics[how.monitor]))

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
        logged = agreed(self._of_validation)
        self._found = []
        for name, value in logged.items():
            self.log(name, torch.tensor(value, dtype=torch.float32, device=self.device))

    def _of_validation(self) -> dict[str, float]:
        """Numbers in float32, as they are logged."""
        logged = {}
        for name, values in self.validated(self._found).items():
            logged[name] = float(values.mean().float())
            for suffix, value in zip(self.row_suffixes, values, strict=True):
                if suffix:  # the only row is the mean
                    logged[f"{name}{suffix}"] = float(value.float())
        return logged

    def of_rows(self, metric: str, logged: Mapping[str, Tensor]) -> list[float]:
        """A metric of each row among what the last validation logged."""
        return [float(logged[f"{metric}{suffix}"]) for suffix in self.row_suffixes]

    # --- checkpoints --------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what the network is, so that a checkpoint explains itself, the counter and the schedules."""
        checkpoint["namexp"] = self.description
        checkpoint["updates"] = self.updates
        if not self.automatic_optimization:
            checkpoint["have_learned"] = sorted(self._have_learned)
        states = [schedule.state_dict() for schedule in self._schedules.values()]
        if states:
            checkpoint["schedule"] = states if len(states) > 1 else states[0]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the counter; keep the schedules' state until the optimisers' is back."""
        self.updates = updates_of(checkpoint)
        self._have_learned = set(checkpoint.get("have_learned", ()))
        stored = checkpoint.get("schedule")
        self._stored_schedules = [stored] if isinstance(stored, dict) else stored

    def on_train_start(self) -> None:
        """Continue the schedules."""
        for schedule, state in zip(self._schedules.values(), self._stored_schedules or [], strict=False):
            schedule.load_state_dict(state)
        self._stored_schedules = None

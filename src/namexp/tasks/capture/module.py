"""Learning to sound like an amp, with one or many submodels.

Letters: B batch, S submodels (rows), L samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from namexp.engine.optimisation import build_optimizer, build_scheduler
from namexp.kernels.graphed import Compute, GraphedLoss, recorder_on
from namexp.models.network import Network
from namexp.models.streaming import respond
from namexp.ranks.shared import agreed, rank
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.data.windows import Batch
from namexp.tasks.capture.loss import CaptureLoss
from namexp.tasks.capture.metrics import VAL_LOSS_METRIC, recording_metrics


class CaptureTask(pl.LightningModule):
    """Trains a network's rows on one target; logs every row's metrics and their means."""

    def __init__(
        self,
        network: Network,
        *,
        loss: LossConfig,
        optimizer: OptimizerConfig,
        scheduler: SchedulerConfig,
        gradient_clip_norm: float | None = None,
        scaled_gradients: bool = False,
        graphed: bool = False,
        description: dict[str, Any] | None = None,
    ) -> None:
        """Put the network to work.

        Args:
            network: what learns.
            loss: weights of the terms, and the metric that selects the best checkpoint.
            optimizer: class and arguments.
            scheduler: class and arguments.
            gradient_clip_norm: greatest norm of each submodel's gradient; None: as it comes.
            scaled_gradients: whether the precision multiplies the loss, as half precision does.
            graphed: replay loss and gradients as one CUDA graph where the network lies on a GPU; only
                for one process in full precision.
            description: plain values stored in every checkpoint, from which the network is rebuilt.
        """
        super().__init__()
        self.network = network
        self.loss = CaptureLoss(loss)
        self._val_metric = VAL_LOSS_METRIC[loss.val_loss]
        self._optimizer, self._scheduler = optimizer, scheduler
        self._clip, self._scaled_gradients = gradient_clip_norm, scaled_gradients
        self._description = description or {}
        self._schedule: Any = None
        self._stored_schedule: dict[str, Any] | None = None
        self._graphs_wanted = graphed
        self._graphed_loss: GraphedLoss | None = None
        self._validated: list[tuple[Tensor, Tensor]] = []

    # --- training -------------------------------------------------------------------------------

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One batch of windows."""
        del batch_idx
        loss, values = self._computed(batch)
        if self._row_is_due:
            self.log("train/loss", loss.detach(), on_step=True, on_epoch=False)
            for name, value in zip(self.loss.names, values.detach().mean(dim=0), strict=True):
                self.log(f"train/{name}", value, on_step=True, on_epoch=False)
        return loss

    def _computed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The scalar loss of a batch and its (S, terms) values."""
        if self._graphed_loss is not None:
            known = self._graphed_loss(batch.input, batch.target, variant=self.network.variant)
            if known is not None:
                return known
        values = self.loss.values(self.network(batch.input), batch.target)
        return self.loss.weigh(values).sum(), values

    @property
    def _row_is_due(self) -> bool:
        """Whether the step that goes on is one that loggers get a row of.

        Only then anything is logged: Lightning's ``log`` takes about a millisecond for each value, and
        a GPU is waited for.
        """
        if self._trainer is None:
            return False  # nobody listens
        trainer: Any = self.trainer  # Lightning sets its log_every_n_steps from outside
        return trainer.should_stop or (self.global_step + 1) % trainer.log_every_n_steps == 0

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip each submodel by itself and log the norm and the learning rate."""
        if self._clip is not None:
            for parameters in self._row_parameters:
                torch.nn.utils.clip_grad_norm_(parameters, self._clip)
        if self._row_is_due:
            grads = [p.grad for p in self.network.parameters() if p.grad is not None]
            norm = torch.nn.utils.get_total_norm(grads)
            self.log("train/grad_norm", norm, on_step=True, on_epoch=False)
            self.log("train/lr", optimizer.param_groups[0]["lr"], on_step=True, on_epoch=False)

    @cached_property
    def _row_parameters(self) -> list[list[nn.Parameter]]:
        """Those of every row: looking for them takes longer than clipping them."""
        return [self.network.row_parameters(row) for row in range(len(self.network.row_suffixes))]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step, around which the network may hold weights fixed.

        Lightning computes the gradients inside: the step has to be begun before.
        """
        self.network.begin_step(self.global_step)
        with self.network.parameter_update():
            super().optimizer_step(*args, **kwargs)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimiser and, unless null, the scheduler of the config."""
        learning = [p for p in self.parameters() if p.requires_grad]
        optimizer = build_optimizer(learning, self._optimizer, scaled_gradients=self._scaled_gradients)
        self._schedule = build_scheduler(optimizer, self._scheduler)
        return optimizer

    # The schedule is stepped here: Lightning steps it after the end of an epoch has been saved, so
    # that a continued run would repeat a learning rate.

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Go on with a schedule over steps."""
        del outputs, batch, batch_idx
        if self._schedule is not None and self._scheduler.interval == "step":
            self._schedule.step()

    def on_train_epoch_end(self) -> None:
        """Go on with a schedule over epochs; a plateau is looked for where there was a validation."""
        if self._schedule is None or self._scheduler.interval == "step":
            return
        if self._scheduler.name != "ReduceLROnPlateau":
            self._schedule.step()
        elif (self.current_epoch + 1) % (self.trainer.check_val_every_n_epoch or 1) == 0:
            self._schedule.step(float(self.trainer.callback_metrics[self._scheduler.monitor]))

    # --- validation -----------------------------------------------------------------------------

    def on_validation_epoch_start(self) -> None:
        """Forget the last validation."""
        self._validated = []

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Predict one whole recording; it is scored when all are there."""
        del batch_idx
        if rank() > 0:
            return  # the first process validates, so that all decide by the same numbers
        with torch.autocast(batch.input.device.type, enabled=False):  # scored as it will be played
            played = respond(self.network, batch.input)[0]
        self._validated.append((played, batch.target[0]))

    def on_validation_epoch_end(self) -> None:
        """Log every metric of every row, and the mean over rows."""
        metrics = agreed(lambda: recording_metrics(self._validated))
        self._validated = []
        for name, values in {"val_loss": metrics[self._val_metric], **metrics}.items():
            self.log(name, values.mean().float())
            for suffix, value in zip(self.network.row_suffixes, values, strict=True):
                if suffix:  # an ordinary network's only row is the mean
                    self.log(f"{name}{suffix}", value.float())

    # --- checkpoints ----------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Store what the network is, so that a checkpoint explains itself, and the schedule."""
        checkpoint["namexp"] = self._description
        if self._schedule is not None:
            checkpoint["schedule"] = self._schedule.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the schedule's state until the optimiser's is back."""
        self._stored_schedule = checkpoint.get("schedule")

    def on_train_start(self) -> None:
        """Continue the schedule."""
        if self._schedule is not None and self._stored_schedule is not None:
            self._schedule.load_state_dict(self._stored_schedule)
        self._stored_schedule = None
        self._begin_graphs()

    # --- graphs ---------------------------------------------------------------------------------

    def _begin_graphs(self) -> None:
        """Let loss and gradients be replayed from now on, where that can be."""
        learning = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        recorder = recorder_on(learning.values()) if self._graphs_wanted else None
        if recorder is not None:
            self._graphed_loss = GraphedLoss(_computing(self.network, self.loss), learning, recorder)

    def on_train_end(self) -> None:
        """Give the graphs' memory back."""
        self._graphed_loss = None


def _computing(network: Network, loss: CaptureLoss) -> Compute:
    """Loss and values of a batch as a function of the parameters, for a graph."""

    def compute(parameters: Mapping[str, Tensor], input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        prediction = torch.func.functional_call(network, dict(parameters), (input,))
        values = loss.values(prediction, target)
        return loss.weigh(values).sum(), values

    return compute

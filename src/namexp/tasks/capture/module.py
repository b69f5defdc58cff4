"""The steps of learning to sound like an amp, with one or many submodels.

Letters: B batch, S submodels (rows), L samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from namexp.engine.module import Optimisation, TaskModule
from namexp.kernels.graphed import Compute, GraphedLoss, recorder_on
from namexp.models.network import Network
from namexp.models.streaming import respond
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.data.windows import Batch
from namexp.tasks.capture.loss import CaptureLoss
from namexp.tasks.capture.metrics import VAL_LOSS_METRIC, recording_metrics


class CaptureModule(TaskModule):
    """Trains a network's rows on one target."""

    network: Network

    def __init__(
        self,
        network: Network,
        optimisation: Optimisation,
        *,
        loss: LossConfig,
        graphed: bool = False,
        target_scale: float = 1.0,
    ) -> None:
        """Put the network to work.

        Args:
            network: what learns.
            optimisation: how; clipped is the gradient of each submodel by itself.
            loss: weights of the terms, and the metric that selects the best checkpoint.
            graphed: replay loss and gradients as one CUDA graph where the network lies on a GPU; only
                for one process in full precision.
            target_scale: what the targets were multiplied by; metrics are at the recording's level.
        """
        super().__init__(network, optimisation)
        self.row_suffixes = network.row_suffixes
        self.loss = CaptureLoss(loss)
        self._val_metric = VAL_LOSS_METRIC[loss.val_loss]
        self._target_scale = target_scale
        self._graphs_wanted = graphed
        self._graphed_loss: GraphedLoss | None = None

    def clipped_together(self, group: str) -> list[list[nn.Parameter]]:
        """Those of every row."""
        del group
        return [self.network.row_parameters(row) for row in range(len(self.row_suffixes))]

    def idle_parameters(self) -> bool:
        """Whether a parameter takes no part in the output, such as the last layer's residual mixer.

        Which ones are idle does not change from step to step: a slimmable network cuts every parameter,
        at every width.
        """
        R = self.network.receptive_field
        assert R is not None, "networks without an end to their memory are not trained"
        parameters = [p for p in self.network.parameters() if p.requires_grad]
        output = self.network(parameters[0].new_zeros(1, R))
        gradients = torch.autograd.grad(output.sum(), parameters, allow_unused=True)
        return any(gradient is None for gradient in gradients)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One batch of windows."""
        del batch_idx
        loss, values = self._computed(batch)
        if self.row_is_due:
            self.tell("train/loss", loss.detach())
            for name, value in zip(self.loss.names, values.detach().mean(dim=0), strict=True):
                self.tell(f"train/{name}", value)
        return loss

    def _computed(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The scalar loss of a batch and its (S, terms) values."""
        if self._graphed_loss is not None:
            known = self._graphed_loss(batch.input, batch.target, variant=self.network.variant)
            if known is not None:
                return known
        values = self.loss.values(self.network(batch.input), batch.target)
        return self.loss.weigh(values).sum(), values

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step, around which the network may hold weights fixed.

        Lightning computes the gradients inside: the step has to be begun before.
        """
        self.network.begin_step(self.updates)
        with self.network.parameter_update():
            super().optimizer_step(*args, **kwargs)

    def validate(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(S, L) predictions of one whole recording and its (L,) target."""
        return respond(self.network, batch.input)[0], batch.target[0]

    def validated(self, found: list[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """The metrics of all recordings together; what selects the best is at the level of training."""
        return recording_metrics(found, scale=self._target_scale, val_loss=self._val_metric)

    # --- graphs -------------------------------------------------------------------------------------

    def on_train_start(self) -> None:
        """Continue, and let loss and gradients be replayed from now on, where that can be."""
        super().on_train_start()
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

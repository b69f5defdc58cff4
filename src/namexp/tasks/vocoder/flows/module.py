"""The steps of a flow: the negative log-likelihood of segments, given their mels.

Letters: B batch, T samples, M mels, F frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from namexp.engine.module import Optimisation, TaskModule
from namexp.models.waveflow import WaveFlow, negative_log_likelihood, prior_part
from namexp.tasks.vocoder.config.flow import FlowLoss
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.data.items import Batch
from namexp.tasks.vocoder.flows.likelihood import Likelihood, clip_likelihood


@dataclass(frozen=True)
class Steps:
    """What the steps go by.

    Attributes:
        loss: of which noise, and from where gains count.
        mels: the first conditions.
    """

    loss: FlowLoss
    mels: Mels


class FlowModule(TaskModule):
    """Trains a flow."""

    network: WaveFlow

    def __init__(self, network: WaveFlow, optimisation: Optimisation, steps: Steps) -> None:
        """Put the network to work."""
        super().__init__(network, optimisation)
        self._steps = steps

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One batch of segments."""
        del batch_idx
        sigma = self._steps.loss.sigma
        z, logdet = self.network(batch.audio[:, 0], batch.mel)
        loss = negative_log_likelihood(z, logdet, sigma=sigma)
        self.watch(loss)
        if self.row_is_due:
            prior = prior_part(z.detach(), sigma=sigma)
            told = {"loss": loss, "ll": -loss, "prior": -prior, "logdet": prior - loss.detach()}
            for name, value in told.items():
                self.tell(f"train/{name}", value.detach())
        return loss

    def validate(self, batch: Batch) -> Likelihood:
        """How likely one whole clip is."""
        return clip_likelihood(self.network, batch.audio[0, 0], self._steps.mels.input)

    def validated(self, found: list[Likelihood]) -> dict[str, Tensor]:
        """The mean over clips."""
        mean = torch.tensor(found, dtype=torch.float64).mean(dim=0)
        values = {"ll": mean[0][None], "val/prior": mean[1][None], "val/logdet": mean[2][None]}
        reference = self._steps.loss.reference_ll
        if reference is not None:
            values["val/ll_gain"] = values["ll"] - reference
        return {"val_loss": -values["ll"], **values}

"""A network that has learned nothing but silence."""

from __future__ import annotations

import logging

import pytorch_lightning as pl
import torch

log = logging.getLogger(__name__)


class SilenceCheck(pl.Callback):
    """Tells when a network has learned nothing but silence (ESR 1), and what to try."""

    EPOCHS = 5
    THRESHOLD = 0.95

    def __init__(self) -> None:
        super().__init__()
        self._looked = False

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Warn once, after a few epochs."""
        if trainer.sanity_checking or self._looked or trainer.current_epoch + 1 < self.EPOCHS:
            return
        self._looked = True
        esr = trainer.callback_metrics.get("ESR", torch.tensor(0.0))
        if float(esr) > self.THRESHOLD:
            log.warning(
                "ESR is still %.2f after %d epochs, about what silence scores; check data.delay and "
                "that input and target belong together", float(esr), trainer.current_epoch + 1,
            )  # fmt: skip

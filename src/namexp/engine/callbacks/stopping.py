"""Reasons to stop before the last epoch."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytorch_lightning as pl
import torch

from namexp.tasks.capture.module import CaptureTask

log = logging.getLogger(__name__)


class StopAfterSteps(pl.Callback):
    """Ends a training in the middle of an epoch, with a validation.

    Lightning's own ``max_steps`` takes every continued training for one that was cut off inside an
    epoch.
    """

    def __init__(self, max_steps: int) -> None:
        self.max_steps = max_steps

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A continued training may have had them all."""
        del pl_module
        self._look(trainer)

    def on_train_batch_start(self, trainer: pl.Trainer, *_: Any, **__: Any) -> None:
        """Say ahead that this step is the last: what it has to tell is gathered while it goes on."""
        self._look(trainer, upcoming=1)

    def _look(self, trainer: pl.Trainer, *, upcoming: int = 0) -> None:
        if trainer.global_step + upcoming >= self.max_steps:
            trainer.should_stop = True


class StopEarly(pl.Callback):
    """Good enough, no progress, or diverged: looked at after every validation.

    Every submodel counts by itself: training goes on as long as one of them needs it.
    """

    def __init__(self, *, stop_at_esr: float | None = None, patience: int | None = None) -> None:
        """Stop when all submodels are good enough, or none improves.

        Args:
            stop_at_esr: every submodel's ESR at or below it.
            patience: so many validations without a better val_loss of any submodel.
        """
        self._stop_at_esr, self._patience = stop_at_esr, patience
        self._best: list[float] = []
        self._waited = 0
        self._losses: list[float] = []
        self._esrs: list[float] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A continued training that had stopped goes on only where the settings say otherwise."""
        del pl_module
        reason = self._reason() if self._losses else None
        if reason:
            log.info("the training had stopped: %s", reason)
        trainer.should_stop = reason is not None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Decide."""
        if trainer.sanity_checking:
            return
        assert isinstance(pl_module, CaptureTask)
        self._losses = self._rows(trainer, pl_module, "val_loss")
        self._esrs = self._rows(trainer, pl_module, "ESR")
        self._count()
        reason = self._reason()
        if reason:
            log.info("training stops after epoch %d: %s", trainer.current_epoch + 1, reason)
            trainer.should_stop = True

    def _rows(self, trainer: pl.Trainer, task: CaptureTask, name: str) -> list[float]:
        suffixes = task.network.row_suffixes
        keys = [f"{name}{s}" for s in suffixes]
        return [float(trainer.callback_metrics[key]) for key in keys]

    def _count(self) -> None:
        """The bests, and the validations since one of them was reached."""
        losses = self._losses
        best = self._best or [math.inf] * len(losses)
        better = any(loss < old for loss, old in zip(losses, best, strict=True))
        self._best = [min(a, b) if math.isfinite(a) else b for a, b in zip(losses, best, strict=True)]
        self._waited = 0 if better else self._waited + 1

    def _reason(self) -> str | None:
        if not any(map(math.isfinite, self._losses)):
            return "it has diverged, no submodel has a finite val_loss; try a lower optimizer.lr"
        if self._stop_at_esr is not None and all(esr <= self._stop_at_esr for esr in self._esrs):
            return f"every ESR is at or below callbacks.stop_at_esr = {self._stop_at_esr:g}"
        if self._patience is not None and self._waited >= self._patience:
            return f"no better val_loss in callbacks.patience = {self._patience} validations"
        return None

    def state_dict(self) -> dict[str, Any]:
        """What the last validation said and what patience has seen."""
        return {"best": self._best, "waited": self._waited, "losses": self._losses, "esrs": self._esrs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on waiting."""
        self._best, self._waited = state_dict["best"], state_dict["waited"]
        self._losses, self._esrs = state_dict["losses"], state_dict["esrs"]


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

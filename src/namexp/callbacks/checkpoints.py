"""The last and the best state of training."""

from __future__ import annotations

import math
import shutil
from typing import Any

import pytorch_lightning as pl

from namexp.atomic import write_atomically
from namexp.runs.layout import RunLayout


class Checkpoints(pl.Callback):
    """``last.ckpt`` after every epoch, ``best.ckpt`` when val_loss is the lowest so far.

    Written at the end of an epoch, where nothing is half done. A value that is not finite never
    wins.
    """

    def __init__(self, run: RunLayout) -> None:
        self._run = run
        self.best = math.inf
        self.best_epoch: int | None = None

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        del pl_module
        improved = self._improved(trainer)
        last = self._run.last_checkpoint
        write_atomically(last, lambda temporary: trainer.save_checkpoint(temporary))
        if improved and trainer.is_global_zero:
            write_atomically(self._run.best_checkpoint, lambda temporary: _copy(last, temporary))

    def _improved(self, trainer: pl.Trainer) -> bool:
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
            return False  # callback_metrics are those of an earlier epoch
        value = float(trainer.callback_metrics.get("val_loss", math.nan))
        if not math.isfinite(value) or value >= self.best:
            return False
        self.best, self.best_epoch = value, trainer.current_epoch
        return True

    def state_dict(self) -> dict[str, Any]:
        """The best so far."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best so far."""
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]


def _copy(source: Any, target: Any) -> None:
    shutil.copyfile(source, target)

"""The end of a batch, before any other callback looks at it."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl

from namexp.engine.module import TaskModule


class Counting(pl.Callback):
    """Counts the batch: Lightning would let the module do so only after all callbacks."""

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count."""
        del trainer, outputs, batch, batch_idx
        assert isinstance(pl_module, TaskModule)
        pl_module.end_batch()


def is_nth_validation(trainer: pl.Trainer, every: int) -> bool:
    """Whether the first process has just made one of every so many validations, continued or not."""
    if trainer.sanity_checking or not trainer.is_global_zero:
        return False
    return (trainer.current_epoch + 1) // (trainer.check_val_every_n_epoch or 1) % every == 0

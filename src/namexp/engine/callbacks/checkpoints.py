"""The last and the best state of training."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint

from namexp.atomic import write_atomically
from namexp.engine.module import TaskModule
from namexp.process.signals import held_back
from namexp.runs.layout import RunLayout


class Checkpoints(Checkpoint):
    """``last.ckpt`` after every epoch, ``best.ckpt`` when val_loss is the lowest so far.

    Written at the end of an epoch, after everything else that belongs to it (Lightning calls a
    ``Checkpoint`` last), where nothing is half done. A value that is not finite never wins.
    """

    def __init__(self, run: RunLayout, num_metric_rows: Callable[[], int] = lambda: 0) -> None:
        """Save to ``run``; ``num_metric_rows`` tells how long metrics.csv is at that moment.

        ``begun``: whether the first step is near, and all that a checkpoint holds has been taken over.
        """
        self._run = run
        self._num_metric_rows = num_metric_rows
        self.best = math.inf
        self.best_epoch: int | None = None
        self.finished_epochs = 0
        self.begun = False
        self._epoch_is_over = False
        self._seconds_before, self._started = 0.0, time.monotonic()
        self._cpu_started: float | None = time.process_time()

    @property
    def seconds(self) -> float:
        """Time spent on training, that of earlier processes included."""
        return self._seconds_before + time.monotonic() - self._started

    @property
    def cpu_seconds(self) -> float | None:
        """The same of this process on all of its cores; None where an earlier one did a part."""
        return None if self._cpu_started is None else time.process_time() - self._cpu_started

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clocks."""
        del trainer, pl_module
        self.begun = True
        self._started = time.monotonic()
        if self._cpu_started is not None:
            self._cpu_started = time.process_time()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save."""
        del pl_module
        before = self.best, self.best_epoch, self.finished_epochs
        with held_back():  # torch's writer does not survive Ctrl-C
            try:
                self._save(trainer)
            except BaseException:  # the state must never tell of a best that is not there
                self.best, self.best_epoch, self.finished_epochs = before
                raise

    def _save(self, trainer: pl.Trainer) -> None:
        improved = self._improved(trainer)
        if trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:  # else max_steps cut it short
            self.finished_epochs = trainer.current_epoch + 1

        def save(temporary: Path) -> None:
            self._epoch_is_over = self.finished_epochs > 0
            try:
                trainer.save_checkpoint(temporary)
            finally:
                self._epoch_is_over = False
            # The best first: the last must never tell of a best that is not there
            if improved and trainer.is_global_zero:
                write_atomically(self._run.best_checkpoint, lambda path: _copy(temporary, path))

        write_atomically(self._run.last_checkpoint, save)

    def _improved(self, trainer: pl.Trainer) -> bool:
        if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1):
            return False  # callback_metrics are those of an earlier epoch
        value = float(trainer.callback_metrics.get("val_loss", math.nan))
        if not math.isfinite(value) or value >= self.best:
            return False
        self.best, self.best_epoch = value, trainer.current_epoch
        return True

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Store the loops as they are when the epoch is over, where it is: the next one begins afresh."""
        del trainer, pl_module
        if self._epoch_is_over:
            _finish_epoch(checkpoint["loops"]["fit_loop"])

    def state_dict(self) -> dict[str, Any]:
        """The best so far, and how far that is."""
        return {
            "best": self.best,
            "best_epoch": self.best_epoch,
            "finished_epochs": self.finished_epochs,
            "metric_rows": self._num_metric_rows(),
            "seconds": self.seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the best so far."""
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
        self.finished_epochs = state_dict["finished_epochs"]
        self._seconds_before = state_dict["seconds"]
        self._cpu_started = None


class StepCheckpoints(pl.Callback):
    """``checkpoints/step_<n>.ckpt`` every so many batches: weights alone, to be averaged or listened to."""

    def __init__(self, run: RunLayout, *, every: int, keep: int) -> None:
        """Save to ``run``; of more than ``keep`` the oldest goes."""
        self._run, self._every, self._keep = run, every, keep
        self._saved = 0

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time; a batch that was left out is none."""
        del outputs, batch, batch_idx
        assert isinstance(pl_module, TaskModule)
        updates = pl_module.updates
        if updates % self._every or updates == self._saved or not trainer.is_global_zero:
            return
        self._saved = updates
        content = {
            "namexp": pl_module.description,
            "updates": updates,
            "epoch": trainer.current_epoch,
            "state_dict": pl_module.state_dict(),
        }
        write_atomically(self._run.step_checkpoint(updates), lambda path: torch.save(content, path))
        for old in self._run.step_checkpoints()[: -self._keep]:
            old.unlink()


def _finish_epoch(loop: dict[str, Any]) -> None:
    """Lightning counts an epoch as completed only after its hooks, in which this is saved."""
    for span in ("current", "total"):
        counts = loop["epoch_progress"][span]
        counts["completed"] = counts["processed"]
    progress = loop["epoch_loop.batch_progress"]
    progress["current"] = dict.fromkeys(progress["current"], 0)
    progress["is_last_batch"] = False


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)

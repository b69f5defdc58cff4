"""One progress bar for the whole training, with the time left."""

from __future__ import annotations

import math
from contextlib import ExitStack
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from namexp.engine.module import TaskModule
from namexp.schema.metric import Metric


class TrainingProgress(ProgressBar):
    """Counts batches of all epochs; shows the latest headline metric of every row."""

    def __init__(self, headline: Metric) -> None:
        """Count to the end of the training, as soon as that is known."""
        super().__init__()
        self._headline = headline
        self._bar: Any = None
        self._open = ExitStack()
        self._enabled = True

    def disable(self) -> None:
        """Lightning calls it on processes other than the first."""
        self._enabled = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Open the bar."""
        assert isinstance(pl_module, TaskModule)
        del trainer
        self._bar = tqdm(
            total=_known(pl_module.total_steps),
            initial=pl_module.updates,
            desc="training",
            unit="step",
            dynamic_ncols=True,
            disable=not self._enabled,
            bar_format="{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} steps, "
            "{elapsed} gone, {remaining} left{postfix}",
        )
        if self._enabled:  # what is logged stands above the bar, not in it
            self._open.enter_context(logging_redirect_tqdm())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any, **__: Any
    ) -> None:
        """Advance."""
        assert isinstance(pl_module, TaskModule)
        self._bar.total = _known(pl_module.total_steps)
        of = f"/{trainer.max_epochs}" if self._bar.total is not None else ""
        self._bar.set_description(f"epoch {trainer.current_epoch + 1}{of}", False)
        self._bar.update(1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show what the validation found."""
        if self._bar is None or trainer.sanity_checking:
            return
        assert isinstance(pl_module, TaskModule)
        name = self._headline.name
        values = pl_module.of_rows(name, trainer.callback_metrics)
        self._bar.set_postfix_str(f"{name} {', '.join(f'{value:.4f}' for value in values)}")

    def on_train_end(self, *_: Any) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, *_: Any) -> None:
        """Close the bar."""
        self._close()

    def _close(self) -> None:
        self._open.close()
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _known(total_steps: float) -> int | None:
    return int(total_steps) if math.isfinite(total_steps) else None

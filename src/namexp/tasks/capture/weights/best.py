"""The best weights of every submodel, each by its own validation loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from namexp.atomic import write_atomically
from namexp.runs.files import write_json
from namexp.runs.layout import RunLayout
from namexp.tasks.capture.module import CaptureTask


class BestSubmodels(pl.Callback):
    """Writes ``packed_best_submodel_<i>.ckpt`` and ``packed_best.json`` whenever one improves.

    A value that is not finite never wins. The bests are part of the trainer's checkpoints, so that
    a continued run does not begin again from nothing.
    """

    def __init__(
        self, run: RunLayout, names: tuple[str, ...], content: Callable[[int], dict[str, Any]]
    ) -> None:
        """Track submodels.

        Args:
            run: where the files go.
            names: of the submodels.
            content: of submodel i's checkpoint: plain values and tensors.
        """
        self._run = run
        self._names = names
        self._content = content
        self.bests: list[dict[str, Any]] = [{"best_metric": math.inf} for _ in names]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compare every submodel's val_loss with its best."""
        if trainer.sanity_checking:
            return
        assert isinstance(pl_module, CaptureTask)
        suffixes = pl_module.network.row_suffixes
        keys = [f"val_loss{s}" for s in suffixes]
        improved = False
        for i, key in enumerate(keys):
            value = float(trainer.callback_metrics[key])
            if math.isfinite(value) and value < self.bests[i]["best_metric"]:
                self._keep(i, value, trainer)
                improved = True
        if improved and trainer.is_global_zero:
            self._write_index()

    def _keep(self, index: int, value: float, trainer: pl.Trainer) -> None:
        path = self._run.packed_best_submodel(index)
        self.bests[index] = {
            "submodel_index": index,
            "submodel_name": self._names[index],
            "best_metric": value,
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "checkpoint_path": path.name,
        }
        if trainer.is_global_zero:
            content = {**self._content(index), "best": self.bests[index]}
            write_atomically(path, lambda temporary: _save(content, temporary))

    def _write_index(self) -> None:
        found = [best for best in self.bests if "checkpoint_path" in best]
        write_json(self._run.packed_best, {"submodels": found})

    def state_dict(self) -> dict[str, Any]:
        """The bests so far."""
        return {"bests": [dict(best) for best in self.bests]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the bests so far."""
        self.bests = [dict(best) for best in state_dict["bests"]]


def _save(content: dict[str, Any], path: Path) -> None:
    torch.save(content, path)

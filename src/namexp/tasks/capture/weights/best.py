"""The best weights of every submodel, each by its own validation loss: written in training, read after."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from namexp.atomic import write_atomically
from namexp.engine.checkpoint import (
    Best,
    best_in,
    best_of_trainer,
    check_same_model,
    load_checkpoint,
    load_weights,
)
from namexp.engine.module import TaskModule
from namexp.errors import UserError
from namexp.models.network import Network
from namexp.reading.damage import content_of, inside
from namexp.runs.files import read_json, write_json
from namexp.schema.fields import as_integer, shown
from namexp.tasks.capture.layout import CaptureLayout


class BestSubmodels(pl.Callback):
    """Writes ``packed_best_submodel_<i>.ckpt`` and ``packed_best.json`` whenever one improves.

    A value that is not finite never wins. The bests are part of the trainer's checkpoints, so that
    a continued run does not begin again from nothing.
    """

    def __init__(
        self, run: CaptureLayout, names: tuple[str, ...], content: Callable[[int], dict[str, Any]]
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
        assert isinstance(pl_module, TaskModule)
        improved = False
        for i, value in enumerate(pl_module.of_rows("val_loss", trainer.callback_metrics)):
            if math.isfinite(value) and value < self.bests[i]["best_metric"]:
                self._keep(i, value, trainer, pl_module.updates)
                improved = True
        if improved and trainer.is_global_zero:
            self._write_index()

    def _keep(self, index: int, value: float, trainer: pl.Trainer, updates: int) -> None:
        path = self._run.packed_best_submodel(index)
        self.bests[index] = {
            "submodel_index": index,
            "submodel_name": self._names[index],
            "best_metric": value,
            "epoch": trainer.current_epoch,
            "step": updates,
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


def member_content(network: Network, description: Mapping[str, Any], index: int) -> dict[str, Any]:
    """What the checkpoint of submodel ``index`` holds besides how good it is."""
    about = {**description, "submodel_index": index}
    return {"namexp": about, "state_dict": network.members[index].state_dict()}


def load_best(run: CaptureLayout, network: Network, description: Mapping[str, Any]) -> list[Best]:
    """Put the best weights of every submodel into ``network``.

    A pack takes each submodel's own best; what has no best checkpoint keeps the weights that
    ``network`` has.

    Returns:
        One for each submodel of a pack, else one for all.

    Raises:
        UserError: a checkpoint belongs to another model.
    """
    if not network.members:
        return [best_of_trainer(run, network, description)]
    found = _packed_bests(run)
    return [_load_member(run, member, found.get(i), description) for i, member in enumerate(network.members)]


def _load_member(
    run: CaptureLayout, member: Network, entry: Mapping[str, Any] | None, description: Mapping[str, Any]
) -> Best:
    if entry is None:
        return Best(None, None)
    path = inside(run.root, entry["checkpoint_path"])
    content = load_checkpoint(path)
    check_same_model(content["namexp"], description, path)
    with content_of(path):
        index = content["namexp"].get("submodel_index")
        if index not in (None, entry["submodel_index"]):
            raise UserError(
                f"holds submodel {shown(index)}, and {run.packed_best.name} names it for another."
            )
        load_weights(member, content["state_dict"])
        # written in one piece with the weights, unlike the index
        return best_in(content["best"], "epoch", "best_metric")


def _packed_bests(run: CaptureLayout) -> dict[int, Mapping[str, Any]]:
    """The entries of packed_best.json by submodel; empty before the first validation."""
    if not run.packed_best.exists():
        return {}
    entries = read_json(run.packed_best).get("submodels")
    known = {"submodel_index", "checkpoint_path", "epoch", "best_metric"}
    if not isinstance(entries, list) or not all(
        isinstance(entry, Mapping) and known <= set(entry) for entry in entries
    ):
        raise UserError(f"{run.packed_best}: is damaged: every submodel needs {', '.join(sorted(known))}.")
    with content_of(run.packed_best):
        indices = [as_integer(entry["submodel_index"], "submodel_index", minimum=0) for entry in entries]
    if len(set(indices)) < len(indices):
        raise UserError(f"{run.packed_best}: is damaged: it names one submodel twice.")
    return dict(zip(indices, entries, strict=True))

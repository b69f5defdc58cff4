"""A training on disk: the trainer's checkpoints, what they say, and the best weights in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from namexp.errors import UserError, one_line
from namexp.runs.layout import RunLayout


class Best(NamedTuple):
    """Where weights come from; the epoch counts from 0, None for the current ones."""

    epoch: int | None
    val_loss: float | None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read tensors and plain values only: a checkpoint cannot run code.

    Raises:
        UserError: missing, damaged, or not written by namexp.
    """
    try:
        # mapped: who wants to know how far a training has come need not read all of its weights; Windows
        # would not let a mapped file be replaced
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=os.name != "nt")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(f"{path}: not a checkpoint that can be read ({one_line(error)}).") from None
    if not isinstance(content, dict) or "namexp" not in content or "state_dict" not in content:
        raise UserError(f"{path}: was not written by namexp (it does not say what the network is).")
    return content


def load_network_state(network: nn.Module, content: Mapping[str, Any]) -> None:
    """Take the network's weights out of a trainer's checkpoint."""
    prefix = "network."
    state = {
        name.removeprefix(prefix): value
        for name, value in content["state_dict"].items()
        if name.startswith(prefix)
    }
    network.load_state_dict(state)


def best_of_trainer(run: RunLayout, network: nn.Module, description: Mapping[str, Any]) -> Best:
    """Put the weights of ``best.ckpt`` into ``network``, which keeps its own where there is none.

    Raises:
        UserError: the checkpoint belongs to another model.
    """
    if not run.best_checkpoint.exists():
        return Best(None, None)
    content = load_checkpoint(run.best_checkpoint)
    check_same_model(content["namexp"], description, run.best_checkpoint)
    load_network_state(network, content)
    best_of = content["callbacks"]["Checkpoints"]
    return Best(best_of["best_epoch"], best_of["best"])


def check_same_model(found: Mapping[str, Any], expected: Mapping[str, Any], path: Path) -> None:
    """Refuse weights of another model: sizes alone would not tell [3, 8] from [8, 3].

    Raises:
        UserError: the descriptions differ.
    """
    if found["model"] != expected["model"]:
        keys = sorted(k for k in expected["model"] if found["model"].get(k) != expected["model"][k])
        raise UserError(
            f"{path}: holds another model than config.yaml says (they differ in model.{keys[0]}); the "
            "run directory mixes two trainings."
        )


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        finished_epochs: whole epochs; 0: it must begin again.
        metric_rows: of metrics.csv at that moment.
        seconds: of training.
        threads: CPU threads it computed with.
        sha256: of the content of what it learns from.
        training_id: of the training that left it.
        updates: batches learned from.
        initial_sha256: of the weights that ``init_from`` gave; None: drawn from the seed.
        cut_short: whether ``trainer.max_steps`` ended it in the middle of the epoch that follows.
    """

    finished_epochs: int
    metric_rows: int
    seconds: float
    threads: int
    sha256: Mapping[str, Any]
    training_id: str
    updates: int
    initial_sha256: str | None
    cut_short: bool


def load_progress(run: RunLayout) -> Progress | None:
    """What ``last.ckpt`` says; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    if not run.last_checkpoint.exists():
        return None
    content = load_checkpoint(run.last_checkpoint)
    state, about = content["callbacks"]["Checkpoints"], content["namexp"]
    finished = state["finished_epochs"]
    return Progress(
        finished_epochs=finished,
        metric_rows=state["metric_rows"] if finished else 0,
        seconds=state["seconds"],
        threads=about["threads"],
        sha256=about["audio_sha256"],
        training_id=about["training_id"],
        updates=updates_of(content),
        initial_sha256=about["initial_sha256"],
        cut_short=finished > 0 and content["epoch"] >= finished,
    )


def updates_of(checkpoint: Mapping[str, Any]) -> int:
    """Batches learned from; an older checkpoint has the optimiser's steps, which were as many."""
    return int(checkpoint["updates"] if "updates" in checkpoint else checkpoint["global_step"])

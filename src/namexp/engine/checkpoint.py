"""A training on disk: the trainer's checkpoints, what they say, and the best weights in them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from namexp.errors import UserError, one_line
from namexp.reading.archive import LIMIT, verify_archive
from namexp.reading.damage import content_of
from namexp.reading.plain import check_plain
from namexp.reading.regular import check_regular
from namexp.runs.layout import RunLayout
from namexp.schema.fields import Fields, as_integer, shown

MOST_THREADS = 4096
_ABSENT = object()  # null is a value


class Best(NamedTuple):
    """Where weights come from; the epoch counts from 0, None for the current ones."""

    epoch: int | None
    val_loss: float | None


def load_checkpoint(path: Path, *, verified: bool = True) -> dict[str, Any]:
    """Read tensors and plain values only: a checkpoint cannot run code.

    Args:
        path: of the file.
        verified: whether its weights are about to be used: then every bit of it must be what was written.

    Raises:
        UserError: missing, damaged, or not written by namexp.
    """
    check_regular(path, LIMIT)
    if verified:
        verify_archive(path)
    try:
        # mapped: who wants to know how far a training has come need not read all of its weights; Windows
        # would not let a mapped file be replaced
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=os.name != "nt")
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(f"{path}: not a checkpoint that can be read ({one_line(error)[:200]}).") from None
    if not isinstance(content, dict) or "namexp" not in content or "state_dict" not in content:
        raise UserError(f"{path}: was not written by namexp (it does not say what the network is).")
    _check_content(content, path)
    return content


def _check_content(content: Mapping[str, Any], path: Path) -> None:
    """What everybody relies on; what only some need is guarded where they use it.

    Raises:
        UserError: another shape.
    """
    about, state = content["namexp"], content["state_dict"]
    if not isinstance(about, Mapping) or not isinstance(about.get("model"), Mapping):
        raise UserError(f"{path}: was not written by namexp (it does not say what the network is).")
    check_plain(dict(about), f"{path}: what it says of its training")
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise UserError(f"{path}: is damaged: its state_dict must hold tensors by names.")


def load_network_state(network: nn.Module, content: Mapping[str, Any], *, assign: bool = False) -> None:
    """Take the network's weights out of a trainer's checkpoint, as ``load_weights`` does."""
    prefix = "network."
    state = {
        name.removeprefix(prefix): value
        for name, value in content["state_dict"].items()
        if name.startswith(prefix)
    }
    load_weights(network, state, assign=assign)


def load_weights(network: nn.Module, state: Mapping[str, Tensor], *, assign: bool = False) -> None:
    """Put ``state`` into ``network``, name by name.

    Args:
        network: takes the weights.
        state: by its names.
        assign: whether the tensors themselves become its weights: those of one on ``meta`` have no memory.

    Raises:
        UserError: names or shapes that are not the network's.
    """
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    wrong = sorted(name for name in {*own, *found} if own.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{len(wrong)} weights are not those of the model that it describes, such as {name[:100]}: "
            f"{found.get(name, 'missing')} for {own.get(name, 'none')}."
        )
    if assign:
        state = {name: value.clone() for name, value in state.items()}  # not those that the file lies behind
    network.load_state_dict(dict(state), assign=assign)


def best_of_trainer(run: RunLayout, network: nn.Module, description: Mapping[str, Any]) -> Best:
    """Put the weights of ``best.ckpt`` into ``network``, which keeps its own where there is none.

    Raises:
        UserError: the checkpoint belongs to another model.
    """
    if not run.best_checkpoint.exists():
        return Best(None, None)
    content = load_checkpoint(run.best_checkpoint)
    check_same_model(content["namexp"], description, run.best_checkpoint)
    with content_of(run.best_checkpoint):
        load_network_state(network, content)
        return best_in(content["callbacks"]["Checkpoints"], "best_epoch", "best")


def best_in(values: Any, epoch: str, val_loss: str) -> Best:
    """Where weights come from, as their checkpoint says it.

    Args:
        values: of the checkpoint.
        epoch: its name for the epoch.
        val_loss: and for the loss.

    Raises:
        UserError: it says neither.
    """
    fields = Fields(values, "")
    loss = values.get(val_loss)
    if loss is not None and (isinstance(loss, bool) or not isinstance(loss, int | float)):
        raise UserError(f"{val_loss} (= {shown(loss)}) must be a number.")
    known = fields.raw(epoch, None)
    return Best(None if known is None else as_integer(known, epoch, minimum=0), loss)


def check_same_model(found: Mapping[str, Any], expected: Mapping[str, Any], path: Path) -> None:
    """Refuse weights of another model: sizes alone would not tell [3, 8] from [8, 3].

    Raises:
        UserError: the descriptions differ.
    """
    if found["model"] != expected["model"]:
        names = {*expected["model"], *found["model"]}
        keys = sorted(
            str(k) for k in names if found["model"].get(k, _ABSENT) != expected["model"].get(k, _ABSENT)
        )
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
    with content_of(run.last_checkpoint):
        return _progress(content)


def _progress(content: Mapping[str, Any]) -> Progress:
    state, about = Fields(content["callbacks"]["Checkpoints"], ""), Fields(content["namexp"], "namexp")
    finished = state.integer("finished_epochs", minimum=0)
    sha256 = about.section("audio_sha256").mapping
    epoch = as_integer(content["epoch"], "epoch", minimum=0)
    return Progress(
        finished_epochs=finished,
        metric_rows=state.integer("metric_rows", minimum=0) if finished else 0,
        seconds=state.number("seconds"),
        threads=_threads(about),
        sha256=sha256,
        training_id=about.text("training_id"),
        updates=updates_of(content),
        initial_sha256=about.text("initial_sha256") if about.has("initial_sha256") else None,
        cut_short=finished > 0 and epoch >= finished,
    )


def _threads(about: Fields) -> int:
    threads = about.integer("threads", minimum=1)
    if threads > MOST_THREADS:
        raise UserError(f"namexp.threads (= {threads}) must be at most {MOST_THREADS}.")
    return threads


def updates_of(checkpoint: Mapping[str, Any]) -> int:
    """Batches learned from; an older checkpoint has the optimiser's steps, which were as many."""
    name = "updates" if "updates" in checkpoint else "global_step"
    return as_integer(checkpoint[name], name, minimum=0)

"""Going on with a run: what is there already, and whether it fits."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

import torch

from namexp.engine.checkpoint import Progress, load_progress
from namexp.errors import UserError
from namexp.runs.files import read_json
from namexp.runs.identity import difference, relevant
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.resuming import ALLOWED, stored_config
from namexp.tasks.capture.data.recordings import Recordings

log = logging.getLogger(__name__)


def is_done(run: RunLayout) -> bool:
    """Whether the run has ended well."""
    return run.status.exists() and read_json(run.status).get("state") == "done"


def is_as_asked(run: RunLayout, resolved: Mapping[str, Any]) -> bool:
    """Whether what ``resume=auto`` asks for is done already.

    A run that has been made longer since, or whose other settings of no consequence for the past were
    changed, is as good as done: a sweep that is resumed leaves it alone.

    Raises:
        UserError: the directory holds another training.
    """
    if not run.config.exists():
        return False
    stored = stored_config(run.config)
    place = difference(_past(stored), _past(resolved)) or difference(
        {"init_from": stored.get("init_from")}, {"init_from": resolved.get("init_from")}
    )
    if place is not None:
        raise UserError(
            f"{run.root}: holds another training (they differ in {place}); choose another hydra.run.dir."
        )
    longer = any(_limit(resolved, name) > _limit(stored, name) for name in ("max_epochs", "max_steps"))
    # the same names are taken for the same content; others are looked into
    return is_done(run) and not longer and difference(_files(stored), _files(resolved)) is None


def _limit(config: Mapping[str, Any], name: str) -> float:
    value = config["trainer"][name]
    return math.inf if value is None else float(value)


def _files(config: Mapping[str, Any]) -> dict[str, Any]:
    """The names of the recordings."""
    return {key: config["data"].get(key) for key in ("input", "target", "pairs")}


def _past(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a training cannot change any more once it has begun."""
    kept = relevant(config)
    return {
        group: {k: v for k, v in values.items() if f"{group}.{k}" not in ALLOWED}
        if isinstance(values, Mapping)
        else values
        for group, values in kept.items()
        if group not in ALLOWED
    }


def check_more_to_do(run: RunLayout, resolved: Mapping[str, Any]) -> None:
    """A run that is done is continued only with something that makes it longer.

    Raises:
        UserError: there is nothing to do.
    """
    if is_done(run) and difference(relevant(stored_config(run.config)), relevant(resolved)) is None:
        raise UserError(
            f"{run.root}: is done; ask for more epochs by trainer.max_epochs=N, or export it again with "
            "python -m namexp.export."
        )


def continued_progress(config: ExperimentConfig, recordings: Recordings, run: RunLayout) -> Progress | None:
    """How far the training in this directory has come; None where it begins.

    The number of CPU threads becomes what it was, unless the config sets it: sums of floats depend on it.

    Raises:
        UserError: it cannot be continued.
    """
    progress = load_progress(run)
    if progress is None and (run.summary.exists() or run.nam.exists()):
        raise UserError(
            f"{run.root}: has been trained, and {run.last_checkpoint.relative_to(run.root)} is missing: "
            "there is nothing to go on from; put it back, or start a new run."
        )
    if progress is None or progress.finished_epochs == 0:
        return None
    max_steps = config.trainer.max_steps
    if progress.cut_short and (max_steps is None or max_steps > progress.global_step):
        raise UserError(
            f"{run.root}: was ended by trainer.max_steps in the middle of epoch "
            f"{progress.finished_epochs + 1} and cannot be continued exactly; start a new run from its "
            f"weights by init_from={run.last_checkpoint}."
        )
    if config.trainer.max_epochs < progress.finished_epochs:
        raise UserError(
            f"trainer.max_epochs (= {config.trainer.max_epochs}): {run.root} has finished "
            f"{progress.finished_epochs} epochs already; give at least as many."
        )
    if progress.audio_sha256 != recordings.sha256:
        raise UserError(
            f"{run.root}: was trained on recordings of another content than "
            f"{config.data.input or 'data.pairs'} has now; put the old ones back, or start a new run."
        )
    if config.trainer.threads is None and progress.threads != torch.get_num_threads():
        log.info("going on with %d CPU threads, as before", progress.threads)
        torch.set_num_threads(progress.threads)
    log.info("going on after %d finished epochs", progress.finished_epochs)
    return progress

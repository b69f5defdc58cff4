"""Going on with a run: what is there already, and whether it fits."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from namexp.door import setting
from namexp.engine.checkpoint import Progress, load_checkpoint, load_progress
from namexp.engine.training import Material
from namexp.errors import UserError
from namexp.reading.damage import content_of
from namexp.runs.identity import difference, relevant
from namexp.runs.layout import RunLayout
from namexp.runs.states import is_done
from namexp.schema.experiment import ExperimentConfig, named_files
from namexp.schema.fields import Fields, as_integer
from namexp.schema.initial import SETTINGS as INITIAL
from namexp.schema.resuming import allowed, stored_config

log = logging.getLogger(__name__)

LENGTHS = ("max_epochs", "max_steps")


def is_as_asked(run: RunLayout, resolved: Mapping[str, Any], cls: type[ExperimentConfig]) -> bool:
    """Whether what ``resume=auto`` asks for is done already.

    A run that has been made longer since, or whose other settings of no consequence for the past were
    changed, is as good as done: a sweep that is resumed leaves it alone.

    Args:
        run: the directory.
        resolved: the config that is asked for.
        cls: of it.

    Raises:
        UserError: the directory holds another training.
    """
    if not run.config.exists():
        return False
    stored = stored_config(run.config)
    with content_of(run.config):
        place = difference(_past(stored, cls), _past(resolved, cls)) or difference(
            {name: stored.get(name) or None for name in INITIAL},
            {name: resolved.get(name) or None for name in INITIAL},
        )
        longer = any(_limit(resolved, name) > _limit(stored, name) for name in LENGTHS)
    if place is not None:
        raise UserError(
            f"{run.root}: holds another training (they differ in {place}); choose another hydra.run.dir."
        )
    # the same names are taken for the same content; others are looked into
    return is_done(run) and not longer and named_files(stored, cls) == named_files(resolved, cls)


def _limit(config: Mapping[str, Any], name: str) -> float:
    value = Fields(config["trainer"], "trainer").raw(name, None)
    return math.inf if value is None else Fields({name: value}, "trainer").number(name)


def _past(config: Mapping[str, Any], cls: type[ExperimentConfig]) -> dict[str, Any]:
    """The settings that a training cannot change any more once it has begun."""
    kept, may_change = relevant(config, cls.identifying()), allowed(cls)
    return {
        group: _unchangeable(values, group, may_change) if isinstance(values, Mapping) else values
        for group, values in kept.items()
        if group not in may_change
    }


def _unchangeable(values: Mapping[str, Any], group: str, may_change: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if f"{group}.{name}" not in may_change}


def check_more_to_do(run: RunLayout, resolved: Mapping[str, Any], cls: type[ExperimentConfig]) -> None:
    """A run that is done is continued only with something that makes it longer.

    Raises:
        UserError: there is nothing to do.
    """
    by = cls.identifying()
    before, asked = relevant(stored_config(run.config), by), relevant(resolved, by)
    if is_done(run) and difference(before, asked) is None:
        if resolved["trainer"].get("max_minutes") is not None:
            raise UserError(
                f"{run.root}: is done, with as many steps as trainer.max_minutes had time for; start a new "
                f"run from its weights by {setting('init_from', run.root)}, or export it again with "
                "python -m namexp.export."
            )
        raise UserError(
            f"{run.root}: is done; ask for more epochs by trainer.max_epochs=N, or export it again with "
            "python -m namexp.export."
        )


def continued_progress(
    config: ExperimentConfig, material: Material, run: RunLayout, products: Sequence[str]
) -> Progress | None:
    """How far the training in this directory has come; None where it begins.

    The number of CPU threads becomes what it was, unless the config sets it: sums of floats depend on it.

    Args:
        config: of the training.
        material: what it would go on to learn from.
        run: the directory.
        products: files that a finished training has made.

    Raises:
        UserError: it cannot be continued.
    """
    progress = load_progress(run)
    if progress is None and (run.summary.exists() or run.matching(products)):
        raise UserError(
            f"{run.root}: has been trained, and {run.last_checkpoint.relative_to(run.root)} is missing: "
            "there is nothing to go on from; put it back, or start a new run."
        )
    if progress is None or progress.finished_epochs == 0:
        return None
    _check_length(config, run)
    max_steps, by_time = config.trainer.max_steps, config.trainer.max_minutes is not None
    if progress.cut_short and not by_time and (max_steps is None or max_steps > progress.updates):
        raise UserError(
            f"{run.root}: was ended by trainer.max_steps in the middle of epoch "
            f"{progress.finished_epochs + 1} and cannot be continued exactly; start a new run from its "
            f"weights by {setting('init_from', run.last_checkpoint)}."
        )
    if not by_time and config.trainer.max_epochs < progress.finished_epochs:
        raise UserError(
            f"trainer.max_epochs (= {config.trainer.max_epochs}): {run.root} has finished "
            f"{progress.finished_epochs} epochs already; give at least as many."
        )
    if progress.sha256 != material.sha256:
        raise UserError(
            f"{run.root}: was trained on data of another content than {material.source} has now; put "
            "the old ones back, or start a new run."
        )
    if config.trainer.threads is None and progress.threads != torch.get_num_threads():
        log.info("going on with %d CPU threads, as before", progress.threads)
        torch.set_num_threads(progress.threads)
    log.info("going on after %d finished epochs", progress.finished_epochs)
    return progress


def _check_length(config: ExperimentConfig, run: RunLayout) -> None:
    """A training by time is as long as was found when it began; a schedule that ends cannot end earlier.

    Raises:
        UserError: another length is asked for.
    """
    by_time = config.trainer.max_minutes is not None
    if not by_time and not config.scheduler.ends_with_training:
        return
    why = "trainer.max_minutes" if by_time else f"scheduler.name (= {config.scheduler.name})"
    stored = stored_config(run.config)
    for name in LENGTHS:
        asked, before = _limit({"trainer": {name: getattr(config.trainer, name)}}, name), _limit(stored, name)
        if asked < before or (by_time and asked != before):
            raise UserError(
                f"trainer.{name} (= {getattr(config.trainer, name)}): {run.root} was begun with "
                f"{stored['trainer'].get(name)}, and {why} ends there; start a new run, from its weights "
                f"by {setting('init_from', run.last_checkpoint)}."
            )


def prolonged(
    config: ExperimentConfig, resolved: Mapping[str, Any], run: RunLayout
) -> tuple[ExperimentConfig, Mapping[str, Any]]:
    """The config with which a run goes on that has a schedule to its end, and is asked to be longer.

    Where its end was, the schedule begins anew: the config says so, and a new training of that config has the
    same weights.

    Args:
        config: that is asked for.
        resolved: the same as plain values.
        run: the directory.
    """
    if not run.config.exists() or not run.last_checkpoint.exists() or not config.scheduler.ends_with_training:
        return config, resolved
    stored = stored_config(run.config)
    with content_of(run.config):
        longer = any(_limit(resolved, name) > _limit(stored, name) for name in LENGTHS)
        scheduler = Fields(stored, "").section("scheduler")
        before = (scheduler.raw("options", None) or {}).get("restarts") or []
    restarts = list(config.scheduler.options.get("restarts") or before)
    if longer and config.trainer.max_minutes is None:
        end = _end_of_schedule(run)
        restarts += [end] if end is not None and end not in restarts else []
    if not restarts:
        return config, resolved
    options = {**config.scheduler.options, "restarts": restarts}
    plain = {**resolved, "scheduler": {**resolved["scheduler"], "options": options}}
    return replace(config, scheduler=replace(config.scheduler, options=options)), plain


def _end_of_schedule(run: RunLayout) -> int | None:
    """Where the rates of what is trained so far end; None where the checkpoint has no such schedule."""
    content = load_checkpoint(run.last_checkpoint, verified=False)
    with content_of(run.last_checkpoint):
        states = content.get("schedule")
        first = states[0] if isinstance(states, list) else states
        if not isinstance(first, Mapping) or "total_steps" not in first:
            return None
        return as_integer(first["total_steps"], "total_steps", minimum=1)

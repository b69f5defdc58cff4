"""One training from config to what comes out: the order in which everything happens, whatever is learned."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from namexp.comparison.page import write_run_page
from namexp.engine.callbacks.interruption import finishing
from namexp.engine.checkpoint import Progress, load_checkpoint, load_network_state, load_progress
from namexp.engine.continuing import check_more_to_do, continued_progress, is_as_asked, prolonged
from namexp.engine.fitting import fit
from namexp.engine.optimisation import check_optimisation
from namexp.engine.settings import check_hardware, torch_settings
from namexp.engine.summary import summarise
from namexp.engine.task import Shown, Task
from namexp.engine.telling import tell_outcome, tracked
from namexp.engine.training import Fitted, Material, Training
from namexp.errors import one_line
from namexp.runs.entry import entered
from namexp.runs.files import read_json, write_json, write_text
from namexp.runs.identity import relevant, training_id
from namexp.runs.layout import RunLayout
from namexp.runs.summaries import declared
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.resuming import AUTO
from namexp.sweeps.sharing import SharedTrainings, adopt
from namexp.tracking.opening import check_tracking

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a training leaves: its directory, its summary, and whether it was interrupted."""

    run: RunLayout
    summary: dict[str, Any]
    interrupted: bool = False


def run(
    task: Task[Any, Any],
    config: ExperimentConfig,
    resolved: Mapping[str, Any],
    run_dir: Path,
    *,
    resume: str | None = None,
    sweep: Path | None = None,
) -> RunResult:
    """Train, score and export.

    Args:
        task: what is learned.
        config: checked, of that task.
        resolved: the same as plain values; kept as config.yaml.
        run_dir: created if need be.
        resume: None: the directory must be unused. ``"auto"``: the same training, begun there, is
            continued, and one that is done is left as it is. Else: whatever lies there is continued.
        sweep: the directory whose jobs share their trainings; None: this run trains for itself.

    Returns:
        What came out; after Ctrl-C what could be exported, with ``interrupted`` set.

    Raises:
        UserError: anything that can be known before training, and a run directory in use.
        KeyboardInterrupt: Ctrl-C outside the training itself.
    """
    check_hardware(config.trainer)
    check_optimisation(config.optimizer, config.scheduler)
    check_tracking(config.logger)
    layout = RunLayout(run_dir)
    if resume is not None:
        config, resolved = prolonged(config, resolved, layout)
    if resume == AUTO and is_as_asked(layout, resolved, type(config)):
        log.info("%s: is done already", layout.root)
        return RunResult(layout, read_json(layout.summary))
    if resume not in (None, AUTO):
        check_more_to_do(layout, resolved, type(config))
    with (
        entered(
            layout,
            resume=resume is not None,
            products=task.products,
            about={"task": task.name, "metrics": declared(config.metrics), **task.page(config)},
        ) as entry,
        torch_settings(config.trainer),
    ):
        training = _prepare(task, config, resolved, layout)
        entry.begun = True
        result = _train_and_export(task, training, sweep)
        entry.interrupted = result.interrupted
    if config.callbacks.report:
        _report(layout)  # last: the page says how the run ended
    return result


def _report(layout: RunLayout) -> None:
    """Write the run's own page."""
    with _not_failing(f"{layout.report} is missing"):
        write_run_page(layout.root)


@contextmanager
def _not_failing(what: str) -> Iterator[None]:
    """A training that succeeded does not fail for what is told or drawn of it."""
    try:
        yield
    except Exception as error:  # whatever libraries raise for a full disk, a broken font, a lost server
        log.warning("notice: %s (%s: %s)", what, type(error).__name__, one_line(error))


def _train_and_export(task: Task[Any, Any], training: Training[Any, Any], sweep: Path | None) -> RunResult:
    layout = training.layout
    write_text(layout.config, OmegaConf.to_yaml(OmegaConf.create(dict(training.resolved))))
    _announce(task, training)
    with tracked(task, training) as training:
        fitted = _fit_or_share(task, training, sweep)
        with finishing("the export") as interruption:
            summary = _finish(task, training, fitted)
    return RunResult(layout, summary, fitted.interrupted or interruption.requested)


def _announce(task: Task[Any, Any], training: Training[Any, Any]) -> None:
    opening = task.opening(training.config, training.material)
    for line in (*opening.lines, f"run directory: {training.layout.root}"):
        log.info("%s", line)
    for notice in opening.notices:
        log.warning("notice: %s", notice)


# --- before the training --------------------------------------------------------------------------


def _prepare(
    task: Task[Any, Any], config: ExperimentConfig, resolved: Mapping[str, Any], layout: RunLayout
) -> Training[Any, Any]:
    material = task.load(config)
    pl.seed_everything(config.seed, verbose=False)
    progress = continued_progress(config, material, layout, task.products)
    network = task.network(config, material)
    initial_sha256 = progress.initial_sha256 if progress else None
    if config.initial is not None and progress is None:
        initial_sha256 = task.start_from(config.initial, network, material)
    identity = training_id(resolved, material.sha256, initial_sha256, by=config.identifying())
    return Training(
        config=config,
        resolved=resolved,
        material=material,
        rows=task.rows(config),
        network=network,
        layout=layout,
        description=_description(config, resolved, material, identity, initial_sha256),
        training_id=identity,
        progress=progress,
        checkpoint=layout.last_checkpoint.resolve() if progress else None,
    )


def _description(
    config: ExperimentConfig,
    resolved: Mapping[str, Any],
    material: Material,
    identity: str,
    initial_sha256: str | None,
) -> dict[str, Any]:
    """What a checkpoint needs to be used by itself: plain values only.

    Settings that joined later are in it where they say something: an older checkpoint is of the same model.
    """
    model = relevant({"model": resolved["model"]}, config.identifying())["model"]
    return {
        **material.facts,
        "format": 1,
        "model": model,
        "seed": config.seed,
        "audio_sha256": material.sha256,
        "training_id": identity,
        "initial_sha256": initial_sha256,
        "threads": torch.get_num_threads(),
    }


# --- the training, or one that is there -----------------------------------------------------------


def _fit_or_share(task: Task[Any, Any], training: Training[Any, Any], sweep: Path | None) -> Fitted:
    """Train, unless a job of the sweep has trained the same."""
    if sweep is None:
        return _fit(task, training)
    shared = SharedTrainings(sweep)
    with shared.turn(training.training_id, training.layout) as source:
        # it may have been made longer since
        if source is not None and _trained(source, training.training_id):
            log.info("the training is that of %s", source.root)
            reused = adopt(source, training.layout, leaves=task.leaves, products=task.products)
            return _fitted_already(training, reused)
        fitted = _fit(task, training)
        if not fitted.interrupted:
            shared.announce(training.training_id, training.layout)
        return fitted


def _trained(run: RunLayout, training_id: str) -> bool:
    progress = load_progress(run)
    return progress is not None and progress.training_id == training_id


def _fit(task: Task[Any, Any], training: Training[Any, Any]) -> Fitted:
    """Train, or go on; nothing where a training that ``max_steps`` has ended lacks its export."""
    progress: Progress | None = training.progress
    if progress is not None and progress.cut_short:
        return _fitted_already(training, None)
    return fit(task, training)


def _fitted_already(training: Training[Any, Any], reused_from: str | None) -> Fitted:
    """What lies in the run directory; what has no best keeps the last weights, as after a fit."""
    load_network_state(training.network, load_checkpoint(training.layout.last_checkpoint))
    progress = load_progress(training.layout)
    assert progress is not None, "a checkpoint has just been read"
    return Fitted(
        progress.finished_epochs,
        progress.seconds,
        None,
        progress.updates,
        reused_from=reused_from,
    )


# --- after the training ---------------------------------------------------------------------------


def _finish(task: Task[Any, Any], training: Training[Any, Any], fitted: Fitted) -> dict[str, Any]:
    """Score the best weights, export them, show and tell; the summary."""
    training.network.cpu().float().eval()
    best = task.take_best(training)
    scores = task.score(training)
    summary = summarise(task, training, fitted, best, scores)
    write_json(training.layout.summary, summary)
    task.export(training, summary)
    shown = Shown()
    with _not_failing("pictures or sound of the result are missing"):
        shown = task.show(training, scores, summary)
    with _not_failing("the outcome was not told"):
        tell_outcome(task, training, summary, shown, interrupted=fitted.interrupted)
    return summary

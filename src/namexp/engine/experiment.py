"""One training from config to verified file: the only place that puts the rooms together."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf

from namexp.architectures.playability import notices
from namexp.audio.wav import Samples
from namexp.comparison.page import write_run_page
from namexp.engine.callbacks.interruption import finishing
from namexp.engine.checkpoint import load_best, load_checkpoint, load_network_state, load_progress
from namexp.engine.continuing import check_more_to_do, continued_progress, is_as_asked
from namexp.engine.fitting import Fitted, Training, check_hardware, fit, torch_settings
from namexp.engine.optimisation import check_optimisation
from namexp.engine.telling import tell_outcome, tracked
from namexp.errors import UserError, one_line
from namexp.losses.spectral import Mrstft
from namexp.runs.entry import entered
from namexp.runs.files import read_json, write_json, write_text
from namexp.runs.identity import training_id
from namexp.runs.layout import RunLayout
from namexp.runs.listening import write_listening
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.resuming import AUTO
from namexp.sweeps.sharing import SharedTrainings, adopt
from namexp.tasks.capture.data.recordings import Recordings, load_recordings
from namexp.tasks.capture.networks import build_network
from namexp.tasks.capture.scoring import score, summarise
from namexp.tasks.capture.showing.picture import draw_comparison
from namexp.tasks.capture.weights.exporting import assemble, save_verified, training_metadata
from namexp.tasks.capture.weights.initial import load_initial, start_from
from namexp.tracking.opening import check_tracking

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunResult:
    """What a training leaves: its directory, its summary, and whether it was interrupted."""

    run: RunLayout
    summary: dict[str, Any]
    interrupted: bool = False


def run(
    config: ExperimentConfig,
    resolved: Mapping[str, Any],
    run_dir: Path,
    *,
    resume: str | None = None,
    sweep: Path | None = None,
) -> RunResult:
    """Train, score and export.

    Args:
        config: checked.
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
    if resume == AUTO and is_as_asked(layout, resolved):
        log.info("%s: is done already", layout.root)
        return RunResult(layout, read_json(layout.summary))
    if resume not in (None, AUTO):
        check_more_to_do(layout, resolved)
    result: RunResult | None = None
    try:
        with entered(layout, resume=resume is not None) as entry, torch_settings(config.trainer):
            training = _prepare(config, resolved, layout)
            entry.begun = True
            result = _train_and_export(training, sweep)
            if result.interrupted:
                raise KeyboardInterrupt  # so that the status says it
    except KeyboardInterrupt:
        if result is None:
            raise
    if config.callbacks.report:
        _report(layout)  # last: the page says how the run ended
    return result


def _report(layout: RunLayout) -> None:
    """Write the run's own page; a training that succeeded does not fail for it."""
    try:
        write_run_page(layout.root)
    except (UserError, OSError) as error:
        log.warning("no %s: %s", layout.report, one_line(error))


def _train_and_export(training: Training, sweep: Path | None) -> RunResult:
    layout = training.layout
    write_text(layout.config, OmegaConf.to_yaml(OmegaConf.create(dict(training.resolved))))
    _announce(training)
    with tracked(training) as training:
        fitted = _fit_or_share(training, sweep)
        with finishing("the export") as interruption:
            summary = _finish(training, fitted)
    return RunResult(layout, summary, fitted.interrupted or interruption.requested)


def _fit_or_share(training: Training, sweep: Path | None) -> Fitted:
    """Train, unless a job of the sweep has trained the same."""
    if sweep is None:
        return _fit(training)
    shared = SharedTrainings(sweep)
    with shared.turn(training.training_id, training.layout) as source:
        # it may have been made longer since
        if source is not None and _trained(source, training.training_id):
            log.info("the training is that of %s", source.root)
            return _fitted_already(training, adopt(source, training.layout))
        fitted = _fit(training)
        if not fitted.interrupted:
            shared.announce(training.training_id, training.layout)
        return fitted


def _trained(run: RunLayout, training_id: str) -> bool:
    progress = load_progress(run)
    return progress is not None and progress.training_id == training_id


def _fit(training: Training) -> Fitted:
    """Train, or go on; nothing where a training that ``max_steps`` has ended lacks its export."""
    if training.progress is not None and training.progress.cut_short:
        return _fitted_already(training, None)
    return fit(training)


def _fitted_already(training: Training, reused_from: str | None) -> Fitted:
    """What lies in the run directory; what has no best keeps the last weights, as after a fit."""
    load_network_state(training.network, load_checkpoint(training.layout.last_checkpoint))
    progress = load_progress(training.layout)
    assert progress is not None, "a checkpoint has just been read"
    return Fitted(progress.finished_epochs, progress.seconds, reused_from=reused_from)


# --- before the training --------------------------------------------------------------------------


def _prepare(config: ExperimentConfig, resolved: Mapping[str, Any], layout: RunLayout) -> Training:
    recordings = load_recordings(config.data, receptive_field=config.plan.receptive_field)
    _check_scorable(config, recordings)
    if recordings.embedded:
        log.info("no data.input is given: training on the embedded recording (a synthesised guitar and amp)")
    pl.seed_everything(config.seed, verbose=False)
    progress = continued_progress(config, recordings, layout)
    network = build_network(config.plan, seed=config.seed)
    initial_sha256 = progress.initial_sha256 if progress else None
    if config.init_from is not None and progress is None:
        initial = load_initial(config.init_from, network)
        start_from(network, initial, recordings.target_scale)
        initial_sha256 = initial.sha256
    identity = training_id(resolved, recordings.sha256, initial_sha256)
    return Training(
        config=config,
        resolved=resolved,
        recordings=recordings,
        network=network,
        layout=layout,
        description=_description(config, resolved, recordings, identity, initial_sha256),
        training_id=identity,
        progress=progress,
        checkpoint=layout.last_checkpoint.resolve() if progress else None,
    )


def _check_scorable(config: ExperimentConfig, recordings: Recordings) -> None:
    """The metric that selects the best checkpoint must exist on the validation part."""
    context = config.plan.receptive_field - 1
    shortest = min(part.target.size for part in recordings.validation) - context
    if config.loss.val_loss == "mrstft" and shortest < Mrstft.MIN_SAMPLES:
        raise UserError(
            f"loss.val_loss (= mrstft) needs {Mrstft.MIN_SAMPLES} scored samples and the validation part "
            f"has {shortest}; raise data.validation_seconds or use loss.val_loss=esr."
        )


def _description(
    config: ExperimentConfig,
    resolved: Mapping[str, Any],
    recordings: Recordings,
    identity: str,
    initial_sha256: str | None,
) -> dict[str, Any]:
    """What a checkpoint needs to be played by itself: plain values only."""
    return {
        "format": 1,
        "model": resolved["model"],
        "seed": config.seed,
        "sample_rate": recordings.sample_rate,
        "target_scale": recordings.target_scale,
        "audio_sha256": recordings.sha256,
        "training_id": identity,
        "initial_sha256": initial_sha256,
        "threads": torch.get_num_threads(),
    }


def _announce(training: Training) -> None:
    plan, recordings = training.config.plan, training.recordings
    rate = recordings.sample_rate
    train = sum(part.target.size for part in recordings.train) / rate
    validation = sum(part.target.size for part in recordings.validation) / rate
    names = ", ".join(s.name for s in plan.submodels)
    log.info(
        "%s (%s): receptive field %d samples (%.1f ms)",
        plan.kind, names, plan.receptive_field, 1000.0 * plan.receptive_field / rate,
    )  # fmt: skip
    log.info("%.1f s to train on, %.1f s to validate, %d Hz", train, validation, rate)
    log.info("run directory: %s", training.layout.root)
    for notice in notices(plan.spec):
        log.warning("notice: %s", notice)


# --- after the training ---------------------------------------------------------------------------


def _finish(training: Training, fitted: Fitted) -> dict[str, Any]:
    """Score the best weights, export them and draw; the summary."""
    config, network, layout = training.config, training.network, training.layout
    network.cpu().float().eval()
    best = load_best(layout, config.plan, network, training.description)
    predictions, scores = score(network, training.recordings)
    summary = summarise(
        config, training.resolved, training.recordings, network, best, scores,
        training_id=training.training_id, reused_from=fitted.reused_from,
        seconds=fitted.seconds, epochs=fitted.epochs,
    )  # fmt: skip
    write_json(layout.summary, summary)
    _export(training, summary)
    at_recording_level = (predictions[0] / training.recordings.target_scale).numpy()
    if config.callbacks.plots:
        _draw(training, at_recording_level, summary)
    if config.callbacks.audio:
        write_listening(
            layout,
            target=_scored_target(training),
            predictions=at_recording_level,
            sample_rate=training.recordings.sample_rate,
        )
    tell_outcome(training, summary, predictions, interrupted=fitted.interrupted)
    return summary


def _export(training: Training, summary: dict[str, Any]) -> None:
    config, network, recordings = training.config, training.network, training.recordings
    model = assemble(
        network,
        config.plan,
        sample_rate=recordings.sample_rate,
        target_scale=recordings.target_scale,
        max_values=summary["max_values"],
        user=config.export.metadata,
        training=training_metadata(summary),
    )
    save_verified(model, network, recordings.target_scale, training.layout.nam)


def _scored_target(training: Training) -> Samples:
    """The first validation recording as it was recorded, from the first sample that is scored."""
    context = training.config.plan.receptive_field - 1
    return training.recordings.validation[0].target[context:] / training.recordings.target_scale


def _draw(training: Training, predictions: Samples, summary: dict[str, Any]) -> None:
    layout = training.layout
    draw_comparison(
        layout.comparison,
        target=_scored_target(training),
        predictions=predictions,
        sample_rate=training.recordings.sample_rate,
        submodels=summary["submodels"],
        metrics=layout.metrics,
    )

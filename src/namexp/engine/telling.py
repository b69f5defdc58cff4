"""A training as its tracker sees it: what is told before the first step and after the last.

Letters: S submodels, L samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from namexp.audio.spectrogram import draw_spectrograms
from namexp.engine.fitting import Training
from namexp.runs.files import finite
from namexp.runs.layout import RunLayout
from namexp.runs.metrics import read_metrics
from namexp.runs.provenance import git_state, versions
from namexp.sweeps.job import Job, job_of
from namexp.tasks.capture.data.excerpt import Excerpt, choose_excerpt
from namexp.tasks.capture.showing.preview import recording_clips, submodel_clips
from namexp.tracking import keys
from namexp.tracking.opening import open_tracker
from namexp.tracking.tracker import RunDescription, Tracker

NAME_LENGTH = 80
SCORES = ("ESR", "MRSTFT", "MSE", "val_loss")


@contextmanager
def tracked(training: Training) -> Iterator[Training]:
    """The training with a tracker that is open inside: around the fit, the scores and the export."""
    config = training.config
    with open_tracker(config.logger, describe(training)) as tracker:
        if tracker.active and not tracker.continued:
            tracker.audio(recording_clips(_excerpt(training)), 0)
        yield replace(training, tracker=tracker)


# --- before the training --------------------------------------------------------------------------


def describe(training: Training) -> RunDescription:
    """What is known before the first step."""
    config = training.config
    job = job_of(training.layout.root)
    submodels: list[dict[str, Any]] = [
        {
            "index": i,
            "name": name,
            "channels": spec.channels,
            "parameters": spec.num_weights,
            "macs_per_sample": spec.macs_per_sample,
        }
        for i, (name, spec) in enumerate(config.plan.rows)
    ]
    facts = {
        "training_id": training.training_id,
        "audio_sha256": training.recordings.sha256,
        "receptive_field": config.plan.receptive_field,
        "sample_rate": training.recordings.sample_rate,
        "submodels": submodels,
        "versions": versions(),
        "git": git_state(),
    }
    suffixes = training.network.row_suffixes
    summary = {keys.RECEPTIVE_FIELD: config.plan.receptive_field}
    for suffix, submodel in zip(suffixes, submodels, strict=True):
        for fact in (keys.PARAMETERS, keys.MACS_PER_SAMPLE):
            summary[keys.model_fact(fact, suffix)] = submodel[fact]
    tags = [config.plan.kind, *(["embedded"] if training.recordings.embedded else []), *config.logger.tags]
    return RunDescription(
        layout=training.layout,
        name=config.logger.name or run_name(config.plan.kind, submodels, config.seed, job),
        group=config.logger.group or (job.sweep.name if job.sweep else None),
        tags=tuple(dict.fromkeys(map(str, tags))),
        config={**training.resolved, **facts},
        suffixes=suffixes,
        summary=summary,
    )


def run_name(kind: str, submodels: Sequence[Mapping[str, Any]], seed: int, job: Job) -> str:
    """What tells a run from the others: in a sweep its number and choices, else model and seed."""
    sizes = "-".join("/".join(map(str, submodel["channels"])) for submodel in submodels)
    name = f"{kind} {sizes} seed {seed}"
    if job.sweep is not None:
        # model.channels=[2,4] is channels=[2,4] to people who look at one sweep
        choices = (override.lstrip("+~") for override in job.choices)
        short = [f"{o.partition('=')[0].rpartition('.')[2]}={o.partition('=')[2]}" for o in choices]
        name = f"{job.number}: {' '.join(short) or name}"
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 3]}..."


def _excerpt(training: Training) -> Excerpt:
    return choose_excerpt(
        training.recordings,
        receptive_field=training.config.plan.receptive_field,
        seconds=training.config.logger.audio_seconds,
    )


# --- after the training ---------------------------------------------------------------------------


def tell_outcome(
    training: Training,
    summary: Mapping[str, Any],
    predictions: Sequence[Tensor] | None,
    *,
    interrupted: bool = False,
) -> None:
    """Tell what came out; everything lies in the run directory already.

    Needs no fit: a job that takes over another's training has the same summary, table and files.

    Args:
        training: with its tracker.
        summary: the content of summary.json.
        predictions: (S, L) of every validation recording, played by the exported weights; None: no
            sound and no spectrograms.
        interrupted: whether Ctrl-C ended the training.
    """
    tracker, layout = training.tracker, training.layout
    if not tracker.active:
        return
    if summary["reused_from"] is not None:
        _replay(tracker, layout.metrics)
    max_values = summary["max_values"] or [None] * len(summary["submodels"])
    _tell_summary(tracker, summary, max_values, interrupted=interrupted)
    if predictions is not None:
        _tell_sound(training, summary, predictions)
    if layout.comparison.exists():
        tracker.pictures({keys.COMPARISON: layout.comparison})
    rows = [_table_row(entry, value) for entry, value in zip(summary["submodels"], max_values, strict=True)]
    tracker.table(keys.SUBMODELS, keys.SUBMODEL_COLUMNS, rows)
    _tell_files(tracker, layout, summary)


def _tell_summary(
    tracker: Tracker, summary: Mapping[str, Any], max_values: Sequence[float | None], *, interrupted: bool
) -> None:
    values: dict[str, Any] = {
        "epochs": summary["epochs"],
        "seconds_training": summary["seconds_training"],
        "reused_from": summary["reused_from"] or "",
        "interrupted": interrupted,
    }
    for entry, max_value in zip(summary["submodels"], max_values, strict=True):
        suffix = entry["metric_suffix"]
        for name in SCORES:
            values[keys.exported(name, suffix)] = entry[name]
        if max_value is not None:
            values[keys.model_fact(keys.MAX_VALUE, suffix)] = max_value
    tracker.summarise(values)


def _tell_sound(training: Training, summary: Mapping[str, Any], predictions: Sequence[Tensor]) -> None:
    tracker, excerpt = training.tracker, _excerpt(training)
    played = predictions[0][:, excerpt.stretch].numpy()
    names = [entry["name"] for entry in summary["submodels"]]
    suffixes = [entry["metric_suffix"] for entry in summary["submodels"]]
    tracker.audio(submodel_clips(excerpt, played, suffixes, names))
    if not training.config.callbacks.plots:
        return
    pictures = {}
    for row, suffix, name in zip(played, suffixes, names, strict=True):
        if not np.isfinite(row).all():
            continue
        path = training.layout.spectrogram(suffix)
        draw_spectrograms(
            path,
            target=excerpt.target / excerpt.target_scale,
            prediction=row / excerpt.target_scale,
            sample_rate=excerpt.sample_rate,
            title=name,
        )
        pictures[keys.spectrogram(suffix)] = path
    tracker.pictures(pictures)


def _table_row(entry: Mapping[str, Any], max_value: float | None) -> list[Any]:
    channels = entry["channels"] if isinstance(entry["channels"], list) else [entry["channels"]]
    row = {**entry, "channels": "/".join(map(str, channels)), "max_value": max_value}
    return [finite(row[column]) for column in keys.SUBMODEL_COLUMNS]


def _tell_files(tracker: Tracker, layout: RunLayout, summary: Mapping[str, Any]) -> None:
    about = {key: summary[key] for key in ("training_id", "audio_sha256", "submodels", "reused_from")}
    tracker.files("model", _existing([layout.nam, layout.summary, layout.config]), about)
    bests = [layout.packed_best_submodel(entry["index"]) for entry in summary["submodels"]]
    checkpoints = _existing([layout.packed_best, *bests]) or _existing([layout.best_checkpoint])
    if checkpoints:
        tracker.files("checkpoint", checkpoints, about)


def _existing(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]


def _replay(tracker: Tracker, metrics: Path) -> None:
    """The rows of the training that was taken over, where its metrics.csv came along."""
    for row in read_metrics(metrics) if metrics.exists() else []:
        values = {key: float(value) for key, value in row.items() if value and key != "step"}
        tracker.metrics(values, int(row["step"]))

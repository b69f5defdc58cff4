"""A training as its tracker sees it: what is told before the first step and after the last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from namexp.engine.task import Shown, Task
from namexp.engine.training import Row, Training
from namexp.runs.files import finite
from namexp.runs.metrics import read_metrics
from namexp.runs.provenance import git_state, versions
from namexp.runs.summaries import slashed
from namexp.schema.metric import VAL_LOSS
from namexp.sweeps.origin import Origin, origin_of
from namexp.tracking import keys
from namexp.tracking.opening import open_tracker
from namexp.tracking.tracker import RunDescription, Tracker

NAME_LENGTH = 80
TOLD_BY_KEY = (keys.PARAMETERS, keys.MACS_PER_SAMPLE)  # facts of a row that panels plot
CHANNELS = "channels"
AFTER_METRICS = ("val_loss", "best_epoch", "max_value")  # columns of the table of the end


@contextmanager
def tracked(task: Task[Any, Any], training: Training[Any, Any]) -> Iterator[Training[Any, Any]]:
    """The training with a tracker that is open inside: around the fit, the scores and the export."""
    with open_tracker(training.config.logger, describe(task, training)) as tracker:
        if tracker.active and not tracker.continued:
            tracker.audio(task.references(training), 0)
        yield replace(training, tracker=tracker)


# --- before the training --------------------------------------------------------------------------


def describe(task: Task[Any, Any], training: Training[Any, Any]) -> RunDescription:
    """What is known before the first step."""
    config, rows = training.config, training.rows
    origin, whole = origin_of(training.layout.root), task.facts(config)
    facts = {
        "task": task.name,
        "training_id": training.training_id,
        "audio_sha256": training.material.sha256,
        **whole,
        **training.material.facts,
        "submodels": [{"index": i, "name": row.name, **row.facts} for i, row in enumerate(rows)],
        "versions": versions(),
        "git": git_state(),
    }
    summary = {keys.model_fact(name, ""): value for name, value in whole.items()}
    for row in rows:
        for name in TOLD_BY_KEY:
            if name in row.facts:
                summary[keys.model_fact(name, row.suffix)] = row.facts[name]
    return RunDescription(
        layout=training.layout,
        name=config.logger.name or run_name(config.model.kind, rows, config.seed, origin),
        group=config.logger.group or (origin.sweep.name if origin.sweep else None),
        tags=tuple(
            dict.fromkeys(map(str, [config.model.kind, *training.material.tags, *config.logger.tags]))
        ),
        config={**training.resolved, **facts},
        metrics=(VAL_LOSS, *config.metrics),
        suffixes=tuple(row.suffix for row in rows),
        summary=summary,
    )


def run_name(kind: str, rows: Sequence[Row], seed: int, origin: Origin) -> str:
    """What tells a run from the others: in a sweep its number and choices, else model and seed."""
    sizes = "-".join(slashed(row.facts["channels"]) for row in rows if "channels" in row.facts)
    name = " ".join(part for part in (kind, sizes, f"seed {seed}") if part)
    if origin.sweep is not None:
        # model.channels=[2,4] is channels=[2,4] to people who look at one sweep
        choices = (override.lstrip("+~") for override in origin.choices)
        short = [f"{o.partition('=')[0].rpartition('.')[2]}={o.partition('=')[2]}" for o in choices]
        name = f"{origin.number}: {' '.join(short) or name}"
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 3]}..."


# --- after the training ---------------------------------------------------------------------------


def tell_outcome(
    task: Task[Any, Any],
    training: Training[Any, Any],
    summary: Mapping[str, Any],
    shown: Shown,
    *,
    interrupted: bool = False,
) -> None:
    """Tell what came out; everything lies in the run directory already.

    Needs no fit: a job that takes over another's training has the same summary, table and files.

    Args:
        task: what was learned.
        training: with its tracker.
        summary: the content of summary.json.
        shown: what can be heard and seen.
        interrupted: whether Ctrl-C ended the training.
    """
    tracker = training.tracker
    if not tracker.active:
        return
    if summary["reused_from"] is not None:
        _replay(tracker, training.layout.metrics)
    names = [metric.name for metric in training.config.metrics]
    _tell_summary(tracker, summary, names, interrupted=interrupted)
    tracker.audio(shown.clips)
    tracker.pictures(shown.pictures)
    _tell_table(tracker, summary["submodels"], training.rows, names)
    _tell_files(task, training, summary)


def _tell_summary(
    tracker: Tracker, summary: Mapping[str, Any], metrics: Sequence[str], *, interrupted: bool
) -> None:
    values: dict[str, Any] = {
        "epochs": summary["epochs"],
        "seconds_training": summary["seconds_training"],
        "steps": summary["steps"],
        "reused_from": summary["reused_from"] or "",
        "interrupted": interrupted,
    }
    for entry in summary["submodels"]:
        suffix = entry["metric_suffix"]
        for name in (*metrics, VAL_LOSS.name):
            values[keys.exported(name, suffix)] = entry[name]
        if entry.get(keys.MAX_VALUE) is not None:
            values[keys.model_fact(keys.MAX_VALUE, suffix)] = entry[keys.MAX_VALUE]
    tracker.summarise(values)


def _tell_table(
    tracker: Tracker, entries: Sequence[Mapping[str, Any]], rows: Sequence[Row], metrics: Sequence[str]
) -> None:
    facts = dict.fromkeys(name for row in rows for name in row.facts)
    columns = ["name", *facts, *metrics, *AFTER_METRICS]
    cells = [{**finite(entry), CHANNELS: _text(entry.get(CHANNELS))} for entry in entries]
    tracker.table(keys.SUBMODELS, columns, [[cell.get(column) for column in columns] for cell in cells])


def _text(value: Any) -> str | None:
    """Channels are one number or several: a column of a table has one type."""
    return None if value is None else slashed(value)


def _tell_files(task: Task[Any, Any], training: Training[Any, Any], summary: Mapping[str, Any]) -> None:
    layout, tracker = training.layout, training.tracker
    about = {key: summary[key] for key in ("training_id", "audio_sha256", "submodels", "reused_from")}
    products = layout.matching(task.products)
    tracker.files("model", [*products, *_existing([layout.summary, layout.config])], about)
    checkpoints = layout.matching(task.leaves) or _existing([layout.best_checkpoint])
    if checkpoints:
        tracker.files("checkpoint", checkpoints, about)


def _existing(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]


def _replay(tracker: Tracker, metrics: Path) -> None:
    """The rows of the training that was taken over, where its metrics.csv came along."""
    for row in read_metrics(metrics) if metrics.exists() else []:
        values = {key: float(value) for key, value in row.items() if value and key != "step"}
        tracker.metrics(values, int(row["step"]))

"""The content of summary.json, and the table that a training ends with.

Letters: S rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from namexp.engine.checkpoint import Best
from namexp.engine.task import Scores, Task
from namexp.engine.training import Fitted, Training
from namexp.runs.identity import seedless_id
from namexp.runs.provenance import git_state, versions
from namexp.runs.summaries import declared


def summarise(
    task: Task[Any, Any],
    training: Training[Any, Any],
    fitted: Fitted,
    best: Sequence[Best],
    scores: Scores,
) -> dict[str, Any]:
    """The content of summary.json.

    Args:
        task: what was learned.
        training: with the best weights.
        fitted: how it went.
        best: where the weights of each row come from, or of all of them.
        scores: what they achieve.
    """
    config = training.config
    return _joined(
        {
            "task": task.name,
            "metrics": declared(config.metrics),
            "facts": list(dict.fromkeys(name for row in training.rows for name in row.facts)),
            "training_id": training.training_id,
            "seedless_id": seedless_id(training.resolved, training.material.sha256, by=config.identifying()),
            "reused_from": fitted.reused_from,
            "seed": config.seed,
        },
        task.facts(config),
        training.material.facts,
        {
            "seconds_training": round(fitted.seconds, 3),
            "cpu_seconds_training": None if fitted.cpu_seconds is None else round(fitted.cpu_seconds, 3),
            "epochs": fitted.epochs,
            "steps": fitted.steps,
            "max_minutes": config.trainer.max_minutes,
            "threads": torch.get_num_threads(),
            "submodels": [_entry(training, i, best, scores) for i in range(len(training.rows))],
        },
        scores.facts,
        task.page(config),
        {"audio_sha256": training.material.sha256, "versions": versions(), "git": git_state()},
    )


def _joined(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """One mapping of all, in their order; none may say what another one says."""
    found: dict[str, Any] = {}
    for part in parts:
        assert not found.keys() & part.keys(), f"said twice: {found.keys() & part.keys()}"
        found.update(part)
    return found


def _entry(training: Training[Any, Any], i: int, best: Sequence[Best], scores: Scores) -> dict[str, Any]:
    row, own = training.rows[i], best[min(i, len(best) - 1)]
    return _joined(
        {"index": i, "name": row.name},
        row.facts,
        scores.rows[i] if scores.rows else {},
        {metric: float(values[i]) for metric, values in scores.values.items()},
        {"best_epoch": own.epoch, "metric_suffix": row.suffix},
    )

"""One run directory into one record. What is damaged is left out and named, never raised."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from namexp.comparison.records import Run, Submodel
from namexp.errors import UserError, one_line
from namexp.runs.entry import is_held
from namexp.runs.files import read_json
from namexp.runs.identity import seedless_id
from namexp.runs.layout import RunLayout
from namexp.runs.metrics import read_metrics
from namexp.runs.states import DONE, FAILED, INTERRUPTED, RUNNING, UNKNOWN
from namexp.runs.summaries import metrics_of, slashed
from namexp.schema.identifying import NEUTRAL, Identifying
from namexp.schema.metric import Metric

Curves = dict[str, tuple[tuple[float, float], ...]]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # in C: ten times as fast

DRAWN = ("val_loss", "train/loss")  # columns of metrics.csv that the page draws besides the metrics
CURVE_POINTS = 120


def read_run(root: Path, label: str) -> Run:
    """Read ``root``; never raises for what the directory holds."""
    run, damages = RunLayout(root), list[str]()
    status = _json(run.status, damages)
    summary = _json(run.summary, damages)
    config = _yaml(run.config, dict, damages) or _yaml(root / ".hydra" / "config.yaml", dict, damages)
    hydra = (_yaml(root / ".hydra" / "hydra.yaml", dict, damages)).get("hydra")
    hydra = hydra if isinstance(hydra, dict) else {}
    overrides = _overrides(root / ".hydra" / "overrides.yaml", damages)
    state, reason = _state(run, status)
    metrics = metrics_of(summary or status)  # status.json says it from the beginning
    submodels = _submodels(summary.get("submodels"), metrics)
    return Run(
        root=root,
        label=label,
        state=state,
        reason=reason,
        settings={**_choices(hydra), **flat(config)},
        config=config,
        overrides=overrides,
        cwd=_text(_at(hydra, "runtime", "cwd")),
        seed=next((s for s in (_integer(d.get("seed")) for d in (summary, config)) if s is not None), None),
        training_id=_text(summary.get("training_id")),
        reused_from=_text(summary.get("reused_from")),
        metrics=metrics,
        group=_group(summary, config),
        receptive_field=_integer(summary.get("receptive_field")),
        sample_rate=_integer(summary.get("sample_rate")),
        seconds_training=_float(summary.get("seconds_training")),
        epochs=_integer(summary.get("epochs")),
        started=_text(status.get("started")),
        submodels=submodels,
        max_values=max_values(summary, len(submodels)),
        curves=_curves(run.metrics, metrics, damages),
        damages=tuple(damages),
    )


# What could not change the weights when summaries did not yet say their identity without the seed.
_BEFORE = Identifying(
    (*NEUTRAL, "export", "data.input", "data.target", "data.pairs.input", "data.pairs.target"), {}
)


def _group(summary: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """An identity of everything that can change the weights, but for the seed."""
    said = _text(summary.get("seedless_id"))
    if said is not None or not config:
        return said
    sha256 = summary.get("audio_sha256")
    try:
        return seedless_id(config, sha256 if isinstance(sha256, dict) else {}, by=_BEFORE)
    except TypeError:  # a damaged config may have keys that cannot be sorted
        return None


# --- what the run says of itself ------------------------------------------------------------------


def _state(run: RunLayout, status: Mapping[str, Any]) -> tuple[str, str | None]:
    """The state and, where it is not plainly done or at work, the reason."""
    state, error = status.get("state"), _text(status.get("error"))
    if state == RUNNING and is_held(run) is False:
        return INTERRUPTED, "the process ended without a word (killed, or the machine went down)"
    if state in (DONE, RUNNING, FAILED, INTERRUPTED):
        silent = {FAILED: "it does not say why", INTERRUPTED: "stopped by Ctrl-C"}
        return state, error or silent.get(state)
    if run.status.exists():
        return UNKNOWN, "status.json cannot be read"
    if run.summary.exists():
        return DONE, None
    return INTERRUPTED, "it was begun and never got as far as a status.json"


def _submodels(entries: Any, metrics: Sequence[Metric]) -> tuple[Submodel, ...]:
    found = []
    for i, entry in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(entry, dict):
            continue
        channels = entry.get("channels")
        figures = {metric.name: _float(entry.get(metric.name)) for metric in metrics}
        found.append(
            Submodel(
                index=_integer(entry.get("index")) or i,
                name=_text(entry.get("name")) or f"submodel {i}",
                suffix=_text(entry.get("metric_suffix")) or "",
                channels=None if channels is None else slashed(channels),
                parameters=_integer(entry.get("parameters")),
                macs=_float(entry.get("macs_per_sample")),
                figures={name: value for name, value in figures.items() if value is not None},
                val_loss=_float(entry.get("val_loss")),
                best_epoch=_integer(entry.get("best_epoch")),
                realtime_factor=_float(entry.get("realtime_factor")),
            )
        )
    return tuple(found)


def max_values(summary: Mapping[str, Any], num_sizes: int) -> tuple[float, ...] | None:
    """The thresholds of the quality knob.

    Those that summary.json resolved; in an older one without them, ``uniform`` and lists are
    resolved here. A slimmable model, which is no container, divides its knob evenly.

    Returns:
        One per size, ascending, the last 1.0; None where there is no knob or nobody knows.
    """
    if num_sizes < 2 or not {"max_values", "container_max_values"} & summary.keys():
        return None
    even = tuple((i + 1) / num_sizes for i in range(num_sizes))
    values = summary.get("max_values", summary.get("container_max_values"))
    if values is None or values == "uniform":
        return even
    if not isinstance(values, list) or not all(isinstance(v, int | float) for v in values):
        return None
    thresholds = (*map(float, values[:-1]), 1.0)
    before = (0.0, *thresholds[:-1])
    ascending = all(a < b for a, b in zip(before, thresholds, strict=True))
    return thresholds if len(thresholds) == num_sizes and ascending else None


def _curves(path: Path, metrics: Sequence[Metric], damages: list[str]) -> Curves:
    """The columns to draw, thinned out; epochs count from 1."""
    if not path.exists():
        return {}
    try:
        rows = read_metrics(path)
    except (OSError, ValueError, UnicodeError) as error:
        damages.append(f"{path.name}: {one_line(error)}")
        return {}
    points: dict[str, dict[float, float]] = {}
    for row in rows:
        epoch = _float(_parsed(row.get("epoch")))
        if epoch is None:
            continue  # a line that was cut off
        for name, text in row.items():
            value = _float(_parsed(text))
            if value is not None and isinstance(name, str) and _is_drawn(name, metrics):
                points.setdefault(name, {})[epoch + 1] = value
    return {name: _thinned(sorted(found.items())) for name, found in points.items()}


def _is_drawn(column: str, metrics: Sequence[Metric]) -> bool:
    return column.startswith((*DRAWN, *(metric.name for metric in metrics if metric.tabled)))


def _thinned(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """At most CURVE_POINTS of them, evenly, the last among them."""
    if len(points) <= CURVE_POINTS:
        return tuple(points)
    step = (len(points) - 1) / (CURVE_POINTS - 1)
    return tuple(points[round(i * step)] for i in range(CURVE_POINTS))


# --- files ----------------------------------------------------------------------------------------


def _json(path: Path, damages: list[str]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return read_json(path)
    except (UserError, OSError, UnicodeError, RecursionError) as error:
        damages.append(f"{path.name}: {one_line(error).removeprefix(f'{path}: ')}")
        return {}


def _yaml(path: Path, kind: type, damages: list[str]) -> Any:
    """The file's content; empty where it is missing or damaged."""
    if not path.exists():
        return kind()
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (yaml.YAMLError, OSError, UnicodeError, ValueError, RecursionError) as error:
        damages.append(f"{path.name}: not YAML: {one_line(error)}")
        return kind()
    if isinstance(content, kind):
        return content
    damages.append(f"{path.name}: is empty or holds something else than expected")
    return kind()


def _overrides(path: Path, damages: list[str]) -> tuple[str, ...] | None:
    if not path.exists():
        return None
    before = len(damages)
    found = _yaml(path, list, damages)
    if len(damages) > before:
        return None
    # whether it was continued says nothing about the experiment
    return tuple(text for text in map(str, found) if not text.startswith("resume="))


def _choices(hydra: Mapping[str, Any]) -> dict[str, Any]:
    """The option that each of our groups was given."""
    chosen = _at(hydra, "runtime", "choices")
    if not isinstance(chosen, dict):
        return {}
    return {group: option for group, option in chosen.items() if "/" not in str(group)}


def flat(config: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """Dotted keys; a list is one value, written as JSON."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{place}{key}."))
        elif isinstance(value, list | dict):
            found[f"{place}{key}"] = json.dumps(value, default=str)
        else:
            plain = value is None or isinstance(value, str | int | float)
            found[f"{place}{key}"] = value if plain else str(value)  # YAML knows dates, too
    return found


# --- values that may be anything ------------------------------------------------------------------


def _at(node: Any, *keys: str) -> Any:
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _parsed(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None

"""One run directory into one record. What is damaged is left out and named, never raised."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from namexp.comparison import adversarial
from namexp.comparison.charts import read_charts
from namexp.comparison.columns import Columns, Curve, drawn, filled, last_of_epochs, read_columns
from namexp.comparison.declared import (
    FIGURES,
    TABLES,
    Clip,
    read_clips,
    read_costs,
    read_figures,
    read_tables,
    read_words,
)
from namexp.comparison.diagnosis import diagnose
from namexp.comparison.records import Run, Submodel
from namexp.errors import UserError, one_line
from namexp.reading.plain import is_finite
from namexp.reading.yaml_text import read_yaml
from namexp.runs.entry import is_held
from namexp.runs.files import read_json
from namexp.runs.identity import seedless_id
from namexp.runs.layout import RunLayout
from namexp.runs.metrics import read_metrics
from namexp.runs.states import DONE, FAILED, INTERRUPTED, RUNNING, UNKNOWN
from namexp.runs.summaries import FACTS_BEFORE, facts_of, metrics_of, slashed
from namexp.schema.identifying import NEUTRAL, Identifying
from namexp.schema.metric import Metric

CONFIG_NAME = "train"  # of the command, unless a flag says another
DRAWN = ("val_loss", "train/loss")  # columns of metrics.csv that the page draws besides the metrics
SHOWN = {*FACTS_BEFORE, "realtime_factor"}  # facts that have a place of their own on the page


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
    said = summary or status  # which says it from the beginning
    metrics, columns = metrics_of(said), _columns(run.metrics, damages)
    costs = read_costs(said, damages)
    submodels = _submodels(summary, metrics, costs)
    best_epoch = submodels[-1].best_epoch if submodels else None
    clips, shown = read_clips(said, damages), _said_or_usual(said, columns)
    return Run(
        root=root,
        label=label,
        state=state,
        reason=reason,
        settings={**_choices(hydra), **flat(config)},
        config=config,
        overrides=overrides,
        flags=_flags(hydra),
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
        steps=_integer(summary.get("steps")),
        cpu_seconds_training=_float(summary.get("cpu_seconds_training")),
        max_minutes=_float(summary.get("max_minutes")),
        started=_text(status.get("started")),
        submodels=submodels,
        max_values=max_values(summary, len(submodels)),
        curves=_curves(columns, metrics),
        words=read_words(said, damages),
        costs=costs,
        figures=drawn(read_figures(shown, damages), columns),
        charts=read_charts(said, damages),
        tables=filled(read_tables(shown, damages), columns, best_epoch),
        clips=clips,
        diagnosis=diagnose(columns, _whole(summary) or clips),
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


def _submodels(
    summary: Mapping[str, Any], metrics: Sequence[Metric], costs: Sequence[str]
) -> tuple[Submodel, ...]:
    entries, found = summary.get("submodels"), []
    more = [name for name in facts_of(summary) if name not in SHOWN]
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
                facts={name: slashed(entry[name]) for name in more if entry.get(name) is not None},
                costs=_costs(entry, costs),
            )
        )
    return tuple(found)


def _costs(entry: Mapping[str, Any], names: Sequence[str]) -> dict[str, float]:
    """Those that are known and above 0; of a speed its inverse, the time for a second of audio."""
    known = {name: value for name in names if (value := _float(entry.get(name))) is not None and value > 0}
    return {name: 1.0 / value if name == "realtime_factor" else value for name, value in known.items()}


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
    if not isinstance(values, list) or not values or not all(map(is_finite, values)):
        return None
    thresholds = (*map(float, values[:-1]), 1.0)
    before = (0.0, *thresholds[:-1])
    ascending = all(a < b for a, b in zip(before, thresholds, strict=True))
    return thresholds if len(thresholds) == num_sizes and ascending else None


def _columns(path: Path, damages: list[str]) -> Columns:
    if not path.exists():
        return {}
    try:
        return read_columns(read_metrics(path))
    except UserError as error:
        damages.append(_without_path(error, path))
        return {}


def _curves(columns: Columns, metrics: Sequence[Metric]) -> dict[str, Curve]:
    """What the page draws of every run, thinned out."""
    names = (*DRAWN, *(metric.name for metric in metrics if metric.tabled))
    found = {name: last_of_epochs(points) for name, points in columns.items() if name.startswith(names)}
    return {name: points for name, points in found.items() if points}


def _said_or_usual(said: Mapping[str, Any], columns: Columns) -> Mapping[str, Any]:
    """With figures and tables: an adversarial training that failed before it could declare any has those."""
    if FIGURES in said or not adversarial.has_any(columns):
        return said
    return {**said, FIGURES: list(adversarial.FIGURES), TABLES: list(adversarial.TABLES)}


def _whole(summary: Mapping[str, Any]) -> list[Clip]:
    """What summary.json says of all clips together, as if it were one."""
    figures = {name: _float(summary.get(name)) for name in ("gain_db", "correlation")}
    known = {name: value for name, value in figures.items() if value is not None}
    return [Clip("all", figures=known)] if known else []


# --- files ----------------------------------------------------------------------------------------


def _json(path: Path, damages: list[str]) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return read_json(path)
    except UserError as error:
        damages.append(_without_path(error, path))
        return {}


def _yaml(path: Path, kind: type, damages: list[str]) -> Any:
    """The file's content; empty where it is missing or damaged."""
    if not path.exists():
        return kind()
    try:
        content = read_yaml(path)
    except UserError as error:
        damages.append(_without_path(error, path))
        return kind()
    if isinstance(content, kind):
        return content
    damages.append(f"{path.name}: is empty or holds something else than expected")
    return kind()


def _without_path(error: UserError, path: Path) -> str:
    """The message with the file's name in place of its path."""
    return f"{path.name}: {one_line(error).removeprefix(f'{path}: ')}"


def _overrides(path: Path, damages: list[str]) -> tuple[str, ...] | None:
    if not path.exists():
        return None
    before = len(damages)
    found = _yaml(path, list, damages)
    if len(damages) > before:
        return None
    # whether it was continued says nothing about the experiment
    return tuple(text for text in map(str, found) if not text.startswith("resume="))


def _flags(hydra: Mapping[str, Any]) -> tuple[str, ...]:
    """``--config-dir`` and ``--config-name``, where they were given."""
    sources, name = _at(hydra, "runtime", "config_sources"), _text(_at(hydra, "job", "config_name"))
    given = [
        _text(_at(source, "path"))
        for source in (sources if isinstance(sources, list) else [])
        if _at(source, "provider") == "command-line"
    ]
    flags = ["--config-dir", given[0]] if given and given[0] else []
    return (*flags, *(["--config-name", name] if name not in (None, CONFIG_NAME) and name else []))


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
    """A whole number that 64 bits hold: the page's script has no others."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and abs(value) < 2**63 else None


def _float(value: Any) -> float | None:
    return float(value) if is_finite(value) else None

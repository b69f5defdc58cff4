"""What a report says, as plain values: report.json, and the figures of the page."""

from __future__ import annotations

import datetime
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from namexp.comparison import aggregate, pareto
from namexp.comparison.columns import Filled
from namexp.comparison.declared import USUAL_COSTS
from namexp.comparison.knob import Knob, knob, quality_db
from namexp.comparison.records import Run, Submodel
from namexp.comparison.settings import command, differences
from namexp.comparison.verdicts import verdicts
from namexp.runs.summaries import BEFORE
from namexp.schema.metric import Metric

Content = dict[str, Any]
Place = tuple[int, int]  # index of a run, index of a submodel in it


@dataclass(frozen=True)
class Findings:
    """What the runs say together.

    Attributes:
        headline: the metric by which runs are ranked: that of most of them.
        costs: what it is drawn against, as most of the runs declare it.
        front: the Pareto front of it over the first of them, from the cheapest on.
        knobs: of every container, by the index of its run.
        groups: repeated seeds.
        comparisons: whether settings differ.
    """

    headline: Metric
    costs: tuple[str, ...]
    front: list[Place]
    knobs: dict[int, Knob]
    groups: list[aggregate.Group]
    comparisons: list[aggregate.Comparison]


def find(runs: Sequence[Run]) -> Findings:
    """Look at all runs together."""
    headline, costs = _headline(runs), _costs(runs)
    places: list[Place] = []
    points: list[tuple[float, float]] = []
    for i, run in enumerate(runs):
        for j, submodel in enumerate(run.submodels):
            figure, cost = run.figure(j), submodel.costs.get(costs[0])
            if cost is not None and figure is not None and run.headline.is_like(headline):
                places.append((i, j))
                points.append((cost, headline.cost(figure)))
    groups = aggregate.groups(runs)
    repeated = any(group.n > 1 for group in groups)
    return Findings(
        headline=headline,
        costs=costs,
        front=[places[k] for k in pareto.front(points)],
        knobs={i: found for i, run in enumerate(runs) if (found := _knob(run)) is not None},
        groups=groups,
        comparisons=aggregate.compare(groups) if repeated else [],
    )


def _headline(runs: Sequence[Run]) -> Metric:
    found = Counter(run.headline for run in runs if run.submodels)
    return found.most_common(1)[0][0] if found else BEFORE[0]


def _costs(runs: Sequence[Run]) -> tuple[str, ...]:
    """Of most runs; what only others declare comes after it. The first is one that is known of any run."""
    declared = Counter(run.costs for run in runs if run.submodels)
    names = dict.fromkeys(name for costs, _ in declared.most_common() for name in costs)
    known = {name for run in runs for submodel in run.submodels for name in submodel.costs}
    return tuple(name for name in names if name in known) or USUAL_COSTS


def _metrics(runs: Sequence[Run]) -> list[Metric]:
    """Of all runs that have been scored, in the order in which they are declared; each key once."""
    found = {metric.key: metric for run in reversed(runs) if run.submodels for metric in run.metrics}
    order = [metric.key for run in runs if run.submodels for metric in run.metrics]
    return [found[key] for key in dict.fromkeys(order)] or list(BEFORE)


def _knob(run: Run) -> Knob | None:
    if run.max_values is None or run.headline.scale != "ratio" or run.headline.better != "lower":
        return None
    errors = [run.figure(j) or 0.0 for j in range(len(run.submodels))]
    return knob(run.max_values, errors, [s.macs or 0.0 for s in run.submodels])


def describe(runs: Sequence[Run], findings: Findings, *, name: str, directory: Path) -> Content:
    """The content of report.json.

    Args:
        runs: in the order of the page.
        findings: about them.
        name: of the sweep or of the run.
        directory: that the page lies in; links are relative to it.
    """
    started = sorted(run.started for run in runs if run.started)
    on_front, metrics = set(findings.front), _metrics(runs)
    return {
        "name": name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "started": started[0] if started else None,
        "counts": dict(Counter(run.state for run in runs)),
        "metrics": [{"key": metric.key, **metric._asdict()} for metric in metrics],
        "headline": findings.headline.key,
        "settings": [d._asdict() for d in differences(runs)],
        "runs": [
            _run(run, i, findings.knobs.get(i), on_front, directory, metrics) for i, run in enumerate(runs)
        ],
        "costs": list(findings.costs),
        "front": [list(place) for place in findings.front],
        "knobs": sorted(findings.knobs, key=lambda i: -findings.knobs[i].score),
        "groups": [_group(group) for group in findings.groups],
        "verdicts": [
            verdict._asdict() for verdict in verdicts(runs, findings.groups, findings.comparisons)
        ],
        "comparisons": [{**asdict(c), "differ": c.differ} for c in findings.comparisons],
    }  # fmt: skip


def _run(
    run: Run,
    index: int,
    own_knob: Knob | None,
    front: set[Place],
    directory: Path,
    metrics: Sequence[Metric],
) -> Content:
    return {
        "label": run.label,
        "directory": _relative(run.root, directory),
        "state": run.state,
        "reason": run.reason,
        "seed": run.seed,
        "settings": {key: value for key, value in run.settings.items() if key != "seed"},
        "training_id": run.training_id,
        "reused_from": run.reused_from,
        "receptive_field": run.receptive_field,
        "sample_rate": run.sample_rate,
        "seconds_training": run.seconds_training,
        "epochs": run.epochs,
        "steps": run.steps,
        "cpu_seconds_training": run.cpu_seconds_training,
        "max_minutes": run.max_minutes,
        "started": run.started,
        "max_values": run.max_values and list(run.max_values),
        "command": command(run),
        "cwd": run.cwd,
        "damages": list(run.damages),
        "diagnosis": [finding._asdict() for finding in run.diagnosis],
        "tables": [_table(table) for table in run.tables],
        "clips": [{"name": clip.name, "why": clip.why, **clip.figures} for clip in run.clips],
        "knob": own_knob and {**asdict(own_knob), "score": own_knob.score},
        "submodels": [
            {**_submodel(submodel, metrics), "pareto": (index, j) in front}
            for j, submodel in enumerate(run.submodels)
        ],
    }


def _submodel(submodel: Submodel, metrics: Sequence[Metric]) -> Content:
    """Its facts, and each metric by its key; a ratio in dB too."""
    content = asdict(submodel)
    figures = content.pop("figures")
    for metric in metrics:
        value = figures.get(metric.name)
        content[metric.key] = value
        if metric.scale == "ratio" and metric.tabled:
            content[f"{metric.key}_db"] = -quality_db(value) if value and value > 0 else None
    return content


def _table(table: Filled) -> Content:
    rows = [{"name": name, "values": list(values)} for name, values in table.rows.items()]
    return {"title": table.title, "epoch": table.epoch, "heads": list(table.heads), "rows": rows}


def _relative(path: Path, directory: Path) -> str | None:
    """A relative link; None where there is none (another drive)."""
    try:
        return Path(os.path.relpath(path, directory)).as_posix()
    except ValueError:
        return None


def _group(group: aggregate.Group) -> Content:
    spreads = [group.spread(i) for i in range(len(group.values))]
    return {
        "key": group.key,
        "runs": list(group.labels),
        "n": group.n,
        "metric": group.metric.key,
        "submodels": [
            {"name": name, "spread": spread and asdict(spread), "seeds": dict(values)}
            for name, spread, values in zip(group.names, spreads, group.values, strict=True)
        ],
    }


def default_order(runs: Sequence[Run], findings: Findings) -> list[int]:
    """Runs by what people look at first: those on the front, then by their best figure."""
    on_front = {i for i, _ in findings.front}

    def rank(i: int) -> tuple[bool, bool, float]:
        run = runs[i]
        figures = [run.figure(j) for j in range(len(run.submodels))]
        costs = [run.headline.cost(figure) for figure in figures if figure is not None]
        other = not run.headline.is_like(findings.headline)
        return i not in on_front, other, min(costs, default=math.inf)

    return sorted(range(len(runs)), key=rank)


# --- report.csv -----------------------------------------------------------------------------------

RUN_COLUMNS = (
    "label", "state", "reason", "seed", "receptive_field", "sample_rate", "seconds_training",
    "cpu_seconds_training", "epochs", "steps", "max_minutes", "started", "training_id", "reused_from",
)  # fmt: skip
FACT_COLUMNS = ("index", "name", "channels", "parameters", "macs")
OUTCOME_COLUMNS = ("val_loss", "best_epoch", "realtime_factor", "pareto")


def csv_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for every submodel; a run without any has one too. Settings that differ are columns."""
    keys = [setting["key"] for setting in content["settings"]]
    columns = (*FACT_COLUMNS, *_figure_columns(content["metrics"]), *OUTCOME_COLUMNS)
    rows = []
    for run in content["runs"]:
        shared = {name: run[name] for name in RUN_COLUMNS}
        shared.update({key: run["settings"].get(key) for key in keys})
        knob_score = run["knob"] and run["knob"]["score"]
        for submodel in run["submodels"] or [dict.fromkeys(columns)]:
            own = {f"submodel_{name}": submodel[name] for name in columns}
            rows.append({**shared, **own, "knob_score_db": knob_score, "command": run["command"]})
    return rows


def _figure_columns(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """Metrics that tables show, ratios in dB too."""
    columns = []
    for metric in metrics:
        if metric["tabled"]:
            columns.append(metric["key"])
            columns += [f"{metric['key']}_db"] if metric["scale"] == "ratio" else []
    return columns

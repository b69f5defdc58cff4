"""The outcome of a run as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from namexp.runs.summaries import facts_of, metrics_of, slashed

SHORT = {"macs_per_sample": "MACs/sample"}


def outcome_table(summary: Mapping[str, Any]) -> str:
    """The content of summary.json, a line for each row."""
    rows = summary["submodels"]
    facts = [key for key in facts_of(summary) if all(key in row for row in rows)]
    metrics = [metric for metric in metrics_of(summary) if metric.tabled]
    titles = (SHORT.get(key, key.replace("_", " ")) for key in facts)
    lines = [("submodel", *titles, *(metric.name for metric in metrics))]
    for row in rows:
        figures = (_figure(row.get(metric.name), metric.digits) for metric in metrics)
        lines.append((row["name"], *(slashed(row[key]) for key in facts), *figures))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    text.insert(1, "  ".join("-" * w for w in widths))
    return "\n" + "\n".join(text) + "\n"


def _figure(value: float | None, digits: int) -> str:
    """A summary that was read back has no figure where there was none that is finite."""
    return "-" if value is None else f"{value:.{digits}f}"

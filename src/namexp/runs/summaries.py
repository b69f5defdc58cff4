"""What summary.json says, for everybody who reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from namexp.schema.metric import Metric

# What a summary means that does not say which metrics it has: those from before there were several tasks.
BEFORE = (
    Metric("ESR", scale="ratio", digits=5, meaning="Error-to-signal ratio: 0 is perfect, 1 silence"),
    Metric("MRSTFT", meaning="Multi-resolution STFT distance"),
    Metric("MSE", scale="ratio", digits=6, tabled=False, meaning="Mean squared error"),
)


def declared(metrics: tuple[Metric, ...]) -> list[dict[str, Any]]:
    """Metrics as summary.json holds them."""
    return [metric._asdict() for metric in metrics]


def metrics_of(summary: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics of a run, the headline first; whatever is damaged is left out."""
    entries = summary.get("metrics")
    found = [_metric(entry) for entry in entries] if isinstance(entries, list) else []
    return tuple(metric for metric in found if metric is not None) or BEFORE


def _metric(entry: Any) -> Metric | None:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        return None
    digits = entry.get("digits")
    return Metric(
        entry["name"],
        better="higher" if entry.get("better") == "higher" else "lower",
        scale="ratio" if entry.get("scale") == "ratio" else "plain",
        digits=digits if isinstance(digits, int) and 0 <= digits <= 12 else 4,
        tabled=entry.get("tabled") is not False,
        meaning=str(entry.get("meaning", "")),
    )


def slashed(value: Any) -> str:
    """A fact of one or several numbers, such as channels, as people read it: ``16/8``."""
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)

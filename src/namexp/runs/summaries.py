"""What summary.json says, for everybody who reads it back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from namexp.runs.files import finite
from namexp.schema.metric import Metric

# What a summary means that does not say which metrics it has: those from before there were several tasks.
BEFORE = (
    Metric("ESR", scale="ratio", digits=5, meaning="Error-to-signal ratio: 0 is perfect, 1 silence"),
    Metric("MRSTFT", scale="distance", meaning="Multi-resolution STFT distance"),
    Metric("MSE", scale="distance", digits=6, tabled=False, meaning="Mean squared error"),
)


def declared(metrics: tuple[Metric, ...]) -> list[dict[str, Any]]:
    """Metrics as summary.json holds them."""
    return [metric._asdict() for metric in metrics]


def metrics_of(summary: Mapping[str, Any]) -> tuple[Metric, ...]:
    """The metrics of a run, the headline first; those of amps where it does not say, or is damaged."""
    entries = summary.get("metrics")
    if not isinstance(entries, list) or not entries or not all(map(_is_metric, entries)):
        return BEFORE
    return tuple(_metric(entry) for entry in entries)


def _is_metric(entry: Any) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("name"), str)


def _metric(entry: Mapping[str, Any]) -> Metric:
    digits, scale = entry.get("digits"), entry.get("scale")
    whole = isinstance(digits, int) and not isinstance(digits, bool) and 0 <= digits <= 12
    return Metric(
        entry["name"],
        better="higher" if entry.get("better") == "higher" else "lower",
        scale=scale if scale in ("ratio", "distance") else "plain",
        digits=digits if whole and digits is not None else 4,
        tabled=entry.get("tabled") is not False,
        meaning=str(entry.get("meaning", "")),
    )


FACTS_BEFORE = ("channels", "parameters", "macs_per_sample")


def facts_of(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of what is known of each row besides its metrics, in the order in which people read them."""
    names = summary.get("facts")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return FACTS_BEFORE
    return tuple(names)


def slashed(value: Any) -> str:
    """A fact of one or several numbers, such as channels, as people read it: ``16/8``."""
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def about_training(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of a single model says of its training: its metrics, and how it came about."""
    summary = finite(summary)
    entry = summary["submodels"][0]
    return {
        "trainer": "namexp",
        **{key: summary[key] for key in ("training_id", "seed", "epochs")},
        "best_epoch": entry["best_epoch"],
        **{metric.name: entry[metric.name] for metric in metrics_of(summary)},
        "versions": summary["versions"],
        "data": {"sha256": summary["audio_sha256"]},
    }

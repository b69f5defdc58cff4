"""Charts whose values a run declares itself, in numbers of summary.json: what no column of metrics.csv holds.

They show what came out of the training, such as a distribution beside the one that it should have::

    "charts": [
        {"title": "...", "x": "name of the axis", "y": "...", "log": false, "note": "of one clip",
         "lines": {"word": [[x, y], ...]}, "bars": {"word": [[x, y], ...]},
         "bands": {"word": [[x, low, high], ...]}, "levels": {"word": y}}
    ]

Only the title is needed, and something to draw. Bars stand side by side over equally spaced x; ``log`` draws
y by its logarithms.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from namexp.comparison.declared import each_of, flag_of, is_finite, levels_of, text_of

CHARTS = "charts"  # key of summary.json
MOST_POINTS = 1000  # of a line: more are no longer told apart

Points = tuple[tuple[float, ...], ...]


class Chart(NamedTuple):
    """One of them.

    Attributes:
        title: unique among the run's; charts of several runs are compared by it.
        x, y: names of the axes.
        log: whether y is drawn by its logarithms.
        lines, bars: word of the key to (x, y).
        bands: to (x, low, high).
        levels: to y.
        note: in a few words, what it is of.
    """

    title: str
    x: str
    y: str
    log: bool
    lines: Mapping[str, Points]
    bars: Mapping[str, Points]
    bands: Mapping[str, Points]
    levels: Mapping[str, float]
    note: str


def read_charts(said: Mapping[str, Any], damages: list[str]) -> tuple[Chart, ...]:
    """The charts that ``said`` declares; what cannot be drawn is named in ``damages``."""
    return each_of(said, CHARTS, _chart, damages)


def _chart(entry: Mapping[str, Any]) -> Chart:
    x, y, note = (text_of(entry, key) if key in entry else "" for key in ("x", "y", "note"))
    lines, bars, bands = _drawn(entry, "lines", 2), _drawn(entry, "bars", 2), _drawn(entry, "bands", 3)
    if not (lines or bars or bands):
        raise ValueError("lines, bars or bands must hold something to draw")
    title, log = text_of(entry, "title"), flag_of(entry, "log")
    return Chart(title, x, y, log, lines, bars, bands, levels_of(entry), note)


def _drawn(entry: Mapping[str, Any], key: str, size: int) -> Mapping[str, Points]:
    found = entry.get(key, {})
    if not isinstance(found, Mapping) or not all(_are_points(points, size) for points in found.values()):
        raise ValueError(
            f"{key} must map words to at most {MOST_POINTS} points of {size} numbers, in the order of x"
        )
    return {str(word): tuple(tuple(map(float, p)) for p in points) for word, points in found.items()}


def _are_points(points: Any, size: int) -> bool:
    if not isinstance(points, list) or not 0 < len(points) <= MOST_POINTS:
        return False
    if not all(isinstance(p, list) and len(p) == size and all(map(is_finite, p)) for p in points):
        return False
    places = [p[0] for p in points]
    return places == sorted(places)

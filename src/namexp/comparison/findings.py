"""What is said about a run, and the curves that it is said from."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

from namexp.comparison.columns import FIGURE_POINTS, Columns, Curve, Point, better_x, curve

Level = Literal["alarm", "notice", "fine"]

LEAST = 3  # points of a curve from which on anything is said of it
ENOUGH = 8  # from which on a course is judged
FALLS = 0.8  # of its beginning: a loss that stays above does not fall


class Finding(NamedTuple):
    """One thing about a run, in a sentence or two."""

    level: Level
    text: str


def alarm(text: str) -> Finding:
    """A fault."""
    return Finding("alarm", text)


def notice(text: str) -> Finding:
    """Something to know."""
    return Finding("notice", text)


def course(columns: Columns, name: str) -> Curve:
    """Of training where it was measured there, else of validation; over epochs, all of them, or steps."""
    points = _points(columns, name)
    x = better_x([points])
    return curve(points, x, FIGURE_POINTS if x == "step" else len(points))


def _points(columns: Columns, name: str) -> Sequence[Point]:
    return columns.get(f"train/{name}") or columns.get(f"val/{name}") or columns.get(name, ())


def values_of(points: Curve) -> list[float]:
    """Without the places that they were measured at."""
    return [value for _, value in points]


def end_of(values: Sequence[float], share: int = 3) -> Sequence[float]:
    """The last third of them, or another share; at least one."""
    return values[-max(1, len(values) // share) :]


def tenths(values: Sequence[float]) -> tuple[float, float]:
    """Medians of the first and of the last tenth."""
    few = max(1, len(values) // 10)
    return median(values[:few]), median(values[-few:])


def place_of(columns: Columns, name: str, x: float) -> str:
    """A point of a column in words: ``epoch 3``."""
    points = _points(columns, name)
    return f"{better_x([points])} {x:.0f}"

"""metrics.csv as numbers: every column by itself, and what is drawn and tabled of it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from namexp.comparison.declared import At, Figure, Table, X

Curve = tuple[tuple[float, float], ...]

CURVE_POINTS = 120
FIGURE_POINTS = 150
EPOCHS_ENOUGH = 8  # to draw over; with fewer the steps say more


class Point(NamedTuple):
    """A value of a column, finite or not; ``epoch`` counts from 1, ``step`` is None where nobody counted."""

    epoch: float
    step: float | None
    value: float


Columns = Mapping[str, Sequence[Point]]


def read_columns(rows: Iterable[Mapping[str, Any]]) -> Columns:
    """Every number of every row that has an epoch, column by column."""
    columns: dict[str, list[Point]] = {}
    for row in rows:
        epoch = parsed(row.get("epoch"))
        if epoch is None or not math.isfinite(epoch):
            continue  # a line that was cut off
        step = parsed(row.get("step"))
        for name, text in row.items():
            value = parsed(text)
            if value is not None and isinstance(name, str):
                columns.setdefault(name, []).append(Point(epoch + 1, step, value))
    return columns


def parsed(text: Any) -> float | None:
    """The number that a cell holds, NaN among them; None for anything else."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def last_of_epochs(points: Sequence[Point]) -> Curve:
    """The last finite value of every epoch, at most CURVE_POINTS of them, evenly, the last among them."""
    found = sorted({p.epoch: p.value for p in points if math.isfinite(p.value)}.items())
    if len(found) <= CURVE_POINTS:
        return tuple(found)
    step = (len(found) - 1) / (CURVE_POINTS - 1)
    return tuple(found[round(i * step)] for i in range(CURVE_POINTS))


# --- figures --------------------------------------------------------------------------------------


class Drawn(NamedTuple):
    """A figure with its lines, and the levels that they are held against, by the words of its key."""

    title: str
    x: X
    log: bool
    lines: Mapping[str, Curve]
    levels: Mapping[str, float] = {}


def drawn(figures: Sequence[Figure], columns: Columns) -> tuple[Drawn, ...]:
    """The figures of which there is anything to see."""
    seen = []
    for figure in figures:
        own = {word: columns[name] for word, name in figure.columns.items() if columns.get(name)}
        x = figure.x or better_x(own.values())
        lines = {word: found for word, points in own.items() if (found := curve(points, x))}
        if lines:
            seen.append(Drawn(figure.title, x, figure.log, lines, figure.levels))
    return tuple(seen)


def better_x(columns: Iterable[Sequence[Point]]) -> X:
    """Epochs, if there are enough of them; else steps, where they were counted."""
    points = [point for column in columns for point in column]
    is_counted = bool(points) and all(point.step is not None for point in points)
    return "step" if is_counted and len({point.epoch for point in points}) < EPOCHS_ENOUGH else "epoch"


def curve(points: Sequence[Point], x: X, most: int = FIGURE_POINTS) -> Curve:
    """Means of what has one x, and of windows where there are more than ``most`` of them."""
    by_x: dict[float, list[float]] = {}
    for point in points:
        at = point.epoch if x == "epoch" else point.step
        if at is not None and math.isfinite(at) and math.isfinite(point.value):
            by_x.setdefault(at, []).append(point.value)
    line = [(at, _mean(values)) for at, values in sorted(by_x.items())]
    if len(line) <= most:
        return tuple(line)
    edges = [round(i * len(line) / most) for i in range(most + 1)]
    windows = [line[a:b] for a, b in itertools.pairwise(edges)]
    return tuple((_mean([at for at, _ in w]), _mean([value for _, value in w])) for w in windows)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)  # not fsum, which refuses infinities of both signs


# --- tables ---------------------------------------------------------------------------------------


class Filled(NamedTuple):
    """A table with its values.

    Attributes:
        title: of the table.
        epoch: that the values are of, counted from 1; None where they differ in it.
        heads: of the columns.
        rows: name to a value for each head.
    """

    title: str
    epoch: float | None
    heads: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]


def filled(tables: Sequence[Table], columns: Columns, best_epoch: int | None) -> tuple[Filled, ...]:
    """The tables of which any value is known.

    Args:
        tables: that were declared.
        columns: of metrics.csv.
        best_epoch: whose weights were kept, counted from 0.
    """
    found = []
    for table in tables:
        heads = tuple(dict.fromkeys(head for row in table.rows.values() for head in row))
        epochs: set[float] = set()
        rows = {
            name: tuple(
                _value(columns.get(row.get(head, ""), ()), table.at, best_epoch, epochs) for head in heads
            )
            for name, row in table.rows.items()
        }
        if epochs:
            found.append(Filled(table.title, epochs.pop() if len(epochs) == 1 else None, heads, rows))
    return tuple(found)


def _value(points: Sequence[Point], at: At, best_epoch: int | None, epochs: set[float]) -> float | None:
    """The mean over an epoch, which joins ``epochs``; NaN counts, so that it is seen."""
    if not points:
        return None
    known = {point.epoch for point in points}
    wanted = best_epoch + 1.0 if at == "best" and best_epoch is not None else max(known)
    epoch = wanted if wanted in known else max(known)
    epochs.add(epoch)
    return _mean([point.value for point in points if point.epoch == epoch])

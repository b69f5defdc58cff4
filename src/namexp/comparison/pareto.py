"""The Pareto front: what nothing else beats in both cost and error."""

from __future__ import annotations

from collections.abc import Sequence


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Indices of the points that no other point beats, from the cheapest to the dearest.

    A point beats another if it is at most as large in both values and smaller in one. Of points
    that are equal in both the first stays.

    Args:
        points: (cost, error) pairs; less is better.
    """
    order = sorted(range(len(points)), key=lambda i: (*points[i], i))
    kept: list[int] = []
    for i in order:
        if not kept or points[i][1] < points[kept[-1]][1]:
            kept.append(i)
    return kept

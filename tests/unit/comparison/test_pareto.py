"""The Pareto front against its definition."""

from __future__ import annotations

import random

from namexp.comparison.pareto import front


def test_a_small_front() -> None:
    points = [(10.0, 0.5), (20.0, 0.4), (20.0, 0.3), (5.0, 0.9), (30.0, 0.3), (15.0, 0.6)]
    assert front(points) == [3, 0, 2]


def test_of_equal_points_the_first_stays() -> None:
    assert front([(1.0, 1.0), (1.0, 1.0)]) == [0]
    assert front([]) == []


def test_it_is_what_nothing_beats() -> None:
    draw = random.Random(0)
    for _ in range(50):
        points = [(float(draw.randrange(12)), float(draw.randrange(12))) for _ in range(30)]

        def beaten(p: tuple[float, float], points: list[tuple[float, float]] = points) -> bool:
            return any(q[0] <= p[0] and q[1] <= p[1] and q != p for q in points)

        found = front(points)
        assert {points[i] for i in found} == {p for p in points if not beaten(p)}
        assert len({points[i] for i in found}) == len(found)
        assert [points[i][0] for i in found] == sorted(points[i][0] for i in found)

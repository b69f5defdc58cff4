"""The knob score: algebra that it must obey."""

from __future__ import annotations

import math

import numpy as np
import pytest

from namexp.comparison.knob import Knob, knob

THRESHOLDS, ESR, MACS = (0.3, 0.7, 1.0), (0.4, 0.05, 0.01), (200.0, 1500.0, 9000.0)


def made(
    thresholds: tuple[float, ...] = THRESHOLDS,
    esr: tuple[float, ...] = ESR,
    macs: tuple[float, ...] = MACS,
) -> Knob:
    found = knob(thresholds, esr, macs)
    assert found is not None
    return found


def test_it_is_the_integral_over_the_knob() -> None:
    # 10000 positions, each played by the first submodel whose threshold lies above it
    slim = (np.arange(10000) + 0.5) / 10000
    playing = [next(i for i, v in enumerate(THRESHOLDS) if s < v) for s in slim]
    quality = np.mean([-10 * math.log10(ESR[i]) for i in playing])
    cost = np.mean([10 * math.log10(MACS[i] / 1000) for i in playing])
    found = made()
    assert found.mean_quality_db == pytest.approx(quality, abs=1e-9)
    assert found.mean_cost_db == pytest.approx(cost, abs=1e-9)
    assert found.mean_macs == pytest.approx(np.mean([MACS[i] for i in playing]))
    assert found.score == pytest.approx(quality - cost, abs=1e-9)
    assert found.edges == (0.0, 0.3, 0.7, 1.0)


def test_half_the_error_is_worth_twice_the_computation() -> None:
    better = made(esr=tuple(e / 2 for e in ESR))
    dearer = made(esr=tuple(e / 2 for e in ESR), macs=tuple(2 * m for m in MACS))
    assert better.score - made().score == pytest.approx(10 * math.log10(2))
    assert dearer.score == pytest.approx(made().score)


def test_dividing_a_submodels_range_between_two_equal_ones_changes_nothing() -> None:
    split = made((0.3, 0.5, 0.7, 1.0), (0.4, 0.05, 0.05, 0.01), (200.0, 1500.0, 1500.0, 9000.0))
    assert split.score == pytest.approx(made().score)


def test_more_of_the_knob_for_the_submodel_of_more_worth_scores_higher() -> None:
    # ESR x MACs: 80, 75 and 90
    assert made((0.1, 0.9, 1.0)).score > made().score > made((0.45, 0.55, 1.0)).score


def test_one_submodel_scores_its_product() -> None:
    assert made((1.0,), (0.01,), (1000.0,)).score == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("esr", "macs"), [((0.1, 0.0), (1.0, 2.0)), ((0.1, 0.1), (0.0, 2.0)), ((0.1,), (1.0, 2.0))]
)
def test_without_all_figures_there_is_none(esr: tuple[float, ...], macs: tuple[float, ...]) -> None:
    assert knob((0.5, 1.0), esr, macs) is None

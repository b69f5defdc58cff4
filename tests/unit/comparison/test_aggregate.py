"""Seeds: spreads by hand, tests against scipy's own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from namexp.comparison.aggregate import Comparison, Group, compare, compare_pair, groups, holm, spread
from namexp.comparison.records import Run, Submodel
from namexp.runs.summaries import BEFORE
from namexp.schema.metric import Metric


def run(label: str, group: str, seed: int, *esr: float, training: str = "", reused: str | None = None) -> Run:
    submodels = tuple(Submodel(i, f"s{i}", figures={"ESR": e}) for i, e in enumerate(esr))
    return Run(
        Path(label), label, "done", seed=seed, group=group, submodels=submodels, reused_from=reused,
        training_id=training or f"{group}{seed}",
    )  # fmt: skip


LL = Metric("LL", better="higher")


def group(key: str, metric: Metric = BEFORE[0], **values: float) -> Group:
    """group("a", s0=0.1, s1=0.2): one submodel, by seed."""
    return Group(key, (key,), ("s",), ({int(k[1:]): v for k, v in values.items()},), metric)


def test_a_spread_by_hand() -> None:
    found = spread([1.0, 2.0, 6.0])
    assert found is not None
    assert (found.n, found.mean, found.low, found.high) == (3, 3.0, 1.0, 6.0)
    assert found.std == pytest.approx(math.sqrt(7.0))  # (4 + 1 + 9) / 2
    one = spread([2.0])
    assert one is not None
    assert (one.n, one.mean, one.std) == (1, 2.0, None)
    assert spread([]) is None


def test_groups_by_seed_and_submodel() -> None:
    found = groups([run("0", "a", 0, 0.4, 0.1), run("1", "b", 0, 0.5), run("2", "a", 1, 0.6, 0.3)])
    assert [(g.key, g.labels, g.n) for g in found] == [("a", ("0", "2"), 2), ("b", ("1",), 1)]
    assert found[0].values == ({0: 0.4, 1: 0.6}, {0: 0.1, 1: 0.3})
    second = found[0].spread(1)
    assert second is not None
    assert second.mean == pytest.approx(0.2)


def test_a_training_that_was_taken_over_counts_once() -> None:
    runs = [
        run("1", "a", 0, 0.4, training="t", reused="../0"),
        run("0", "a", 0, 0.4, training="t"),
        run("2", "a", 1, 0.6),
    ]
    (found,) = groups(runs)
    assert (found.n, found.labels) == (2, ("1", "0", "2"))
    # a second training of one seed is no repetition with another seed either
    (same,) = groups([run("0", "a", 0, 0.4, training="t"), run("1", "a", 0, 0.4, training="u")])
    assert same.n == 1


def test_other_seeds_are_compared_by_welch() -> None:
    a, b = [0.10, 0.12, 0.15], [0.20, 0.31]
    found = compare_pair(
        group("a", s0=a[0], s1=a[1], s2=a[2]), group("b", s7=b[0], s8=b[1]), 0
    )  # fmt: skip
    expected = stats.ttest_ind(np.log(a), np.log(b), equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert not found.paired
    assert found.n == (3, 2)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.ratio == pytest.approx(stats.gmean(a) / stats.gmean(b))
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))


def test_the_same_seeds_are_compared_in_pairs() -> None:
    a, b = [0.10, 0.20, 0.40], [0.12, 0.23, 0.50]
    found = compare_pair(group("a", s2=a[2], s0=a[0], s1=a[1]), group("b", s0=b[0], s1=b[1], s2=b[2]), 0)
    expected = stats.ttest_rel(np.log(a), np.log(b))
    interval = expected.confidence_interval(0.95)
    assert found.paired
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    welch = stats.ttest_ind(np.log(a), np.log(b), equal_var=False).pvalue
    assert found.p < welch / 5, "the scatter between seeds is left out"


def test_what_is_no_ratio_is_compared_by_its_difference() -> None:
    a, b = [-1.5, 0.25, -0.5], [-2.0, -2.25, -1.75]  # logarithms of these do not exist
    found = compare_pair(
        group("a", LL, s0=a[0], s1=a[1], s2=a[2]), group("b", LL, s3=b[0], s4=b[1], s5=b[2]), 0
    )
    expected = stats.ttest_ind(a, b, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert (found.ratio, found.metric, found.better) == (None, "LL", "a")
    assert found.difference == pytest.approx(np.mean(a) - np.mean(b))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_the_better_one_follows_the_direction() -> None:
    low, high = {"s0": 0.1, "s1": 0.2}, {"s0": 0.3, "s1": 0.5}
    assert compare_pair(group("a", **low), group("b", **high), 0).better == "a"
    assert compare_pair(group("a", LL, **low), group("b", LL, **high), 0).better == "b"
    assert compare_pair(group("a", LL, **low), group("b", LL, **low), 0).better is None


def test_of_what_is_better_when_higher_the_highest_are_compared() -> None:
    many = [group(f"g{k}", LL, s0=-k, s1=-k - 0.5) for k in range(9)]
    assert {c.a for c in compare(many)} | {c.b for c in compare(many)} == {f"g{k}" for k in range(6)}


def test_different_metrics_are_not_compared() -> None:
    assert compare([group("a", s0=0.1, s1=0.2), group("b", LL, s0=0.1, s1=0.2)]) == []


def test_each_metric_has_its_own_best_settings() -> None:
    by_esr = [group(f"a{i}", s0=0.1 + i, s1=0.2 + i) for i in range(8)]
    by_ll = [group(f"b{i}", LL, s0=-0.1 - i, s1=-0.2 - i) for i in range(2)]
    found = compare([*by_esr, *by_ll])
    assert len(found) == 6 * 5 // 2 + 1, "the best six of one, and both of the other"
    assert all(c.a[0] == c.b[0] for c in found)


def test_a_logarithm_of_nothing_is_not_taken() -> None:
    (found,) = groups([run("0", "a", 0, 0.0), run("1", "a", 1, 0.5)])
    assert found.values == ({1: 0.5},)


def test_one_training_cannot_tell() -> None:
    found = compare_pair(group("a", s0=0.1), group("b", s0=0.2, s1=0.3), 0)
    assert found.ratio == pytest.approx(0.1 / math.sqrt(0.06))
    assert (found.low, found.high, found.p) == (None, None, None)
    (corrected,) = holm([found])
    assert corrected.differ is None


def test_no_scatter_at_all() -> None:
    same = compare_pair(group("a", s0=0.1, s1=0.1), group("b", s2=0.1, s3=0.1), 0)
    other = compare_pair(group("a", s0=0.1, s1=0.1), group("b", s2=0.2, s3=0.2), 0)
    assert (same.p, other.p) == (1.0, 0.0)


def test_holm_by_hand() -> None:
    def of(p: float | None) -> Comparison:
        return Comparison("a", "b", 0, "ESR", 1.0, None, None, None, None, p, None, False, (2, 2))

    found = [c.p_holm for c in holm([of(0.03), of(0.005), of(None), of(0.04), of(0.6)])]
    # sorted: 4 x 0.005, 3 x 0.03, max(2 x 0.04, the one before), 1 x 0.6
    assert found == pytest.approx([0.09, 0.02, None, 0.09, 0.6])
    assert [c.differ for c in holm([of(0.01), of(0.9)])] == [True, False]


def test_every_pair_and_submodel_is_compared() -> None:
    settings = groups(
        [
            run(f"{g}{s}", g, s, 0.4 + k / 10 + s / 100, 0.1 + s / 100)
            for k, g in enumerate("abc")
            for s in (0, 1)
        ]
    )
    found = compare(settings)
    assert [(c.a, c.b, c.submodel) for c in found] == [
        ("a", "b", 0), ("a", "b", 1), ("a", "c", 0), ("a", "c", 1), ("b", "c", 0), ("b", "c", 1)
    ]  # fmt: skip
    assert all(c.p_holm is not None and c.p is not None and c.p_holm >= c.p for c in found)


def test_of_many_settings_the_best_repeated_ones_are_compared() -> None:
    many = [run(f"{k}-{s}", f"g{k}", s, 0.1 + k / 10 + s / 1000) for k in range(9) for s in (0, 1)]
    lucky = run("lucky", "once", 0, 0.01)
    keys = {key for c in compare(groups([lucky, *many])) for key in (c.a, c.b)}
    assert keys == {f"g{k}" for k in range(6)}

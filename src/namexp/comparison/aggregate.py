"""Repeated seeds: how far they scatter, and whether two settings really differ.

Of a metric that is above 0, such as an ESR, logarithms are compared: two settings differ by a factor. Of any
other, values are compared: they differ by so much.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from namexp.comparison.records import Run
from namexp.runs.summaries import BEFORE
from namexp.schema.metric import Metric

LEVEL = 0.05
# Comparing everything with everything would leave nothing to find after the correction.
COMPARED_SETTINGS = 6


@dataclass(frozen=True)
class Spread:
    """A metric over independent trainings.

    Attributes:
        n: how many.
        mean: arithmetic.
        std: with n - 1 below the line; None for n = 1.
        low: the least.
        high: the greatest.
    """

    n: int
    mean: float
    std: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed.

    Attributes:
        key: their identity without the seed.
        labels: of all of them, also of those that took over another's training.
        names: of the submodels.
        values: for each submodel the headline by seed, each training once.
        metric: that is.
    """

    key: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[Mapping[int, float], ...]
    metric: Metric = BEFORE[0]

    @property
    def n(self) -> int:
        """Independent trainings."""
        return max((len(values) for values in self.values), default=0)

    def spread(self, submodel: int) -> Spread | None:
        """Of one submodel; None where no training has its figure."""
        return spread(list(self.values[submodel].values()))


@dataclass(frozen=True)
class Comparison:
    """Whether setting a and setting b differ in the headline of one submodel.

    Attributes:
        a, b: keys of groups.
        submodel: index in both.
        metric: name of the headline.
        ratio: geometric mean of a's values over b's; None where the metric is no ratio.
        difference: mean of a's values minus that of b's; None where the metric is a ratio.
        low, high: the 95 % confidence interval of either, by itself. None where nobody can tell.
        better: "a" or "b", whichever has the better mean; None where they are equal.
        p: two-sided, by itself.
        p_holm: corrected for all comparisons of the report.
        paired: whether the same seeds were compared.
        n: independent trainings of a and of b.
        std: of the differences seed by seed, of logarithms where the metric is a ratio; None unless paired.
        agree: how many seeds have the sign of their mean; None unless paired.
    """

    a: str
    b: str
    submodel: int
    metric: str
    ratio: float | None
    difference: float | None
    low: float | None
    high: float | None
    better: str | None
    p: float | None
    p_holm: float | None
    paired: bool
    n: tuple[int, int]
    std: float | None = None
    agree: int | None = None

    @property
    def differ(self) -> bool | None:
        """Whether they do; None: cannot tell."""
        return None if self.p_holm is None else self.p_holm < LEVEL


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and spread; None of nothing."""
    if not values:
        return None
    n, mean = len(values), math.fsum(values) / len(values)
    std = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1)) if n > 1 else None
    return Spread(n, mean, std, min(values), max(values))


def groups(runs: Sequence[Run]) -> list[Group]:
    """Scored runs by setting, in the order of their first runs.

    A training counts once however many jobs took it over.
    """
    members: dict[str, list[Run]] = {}
    for run in runs:
        if run.group is not None and run.submodels and run.seed is not None:
            members.setdefault(run.group, []).append(run)
    return [_group(key, own) for key, own in members.items()]


def _group(key: str, runs: Sequence[Run]) -> Group:
    longest = max(runs, key=lambda run: len(run.submodels))
    values: list[dict[int, float]] = [{} for _ in longest.submodels]
    for run in independent(runs):
        assert run.seed is not None
        for i in range(len(run.submodels)):
            value = run.figure(i)
            if value is not None and (value > 0 or not run.headline.is_logarithmic):
                values[i].setdefault(run.seed, value)
    names = tuple(s.name for s in longest.submodels)
    return Group(key, tuple(r.label for r in runs), names, tuple(values), longest.headline)


def independent(runs: Sequence[Run]) -> list[Run]:
    """One run for each training: the one that did it, where it is among them."""
    found: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.reused_from is not None):
        found.setdefault(run.training_id or str(Path(run.root)), run)
    return list(found.values())


# --- comparisons ----------------------------------------------------------------------------------


def compare(settings: Sequence[Group]) -> list[Comparison]:
    """Every pair of settings of one metric, submodel by submodel, Holm-corrected together.

    With more than six settings the best six (by their largest submodel) among those repeated most are
    compared.
    """
    pairs = (
        pair for own in _by_metric(settings) for pair in itertools.combinations(_chosen(own), 2)
    )  # fmt: skip
    found = [
        compare_pair(a, b, i)
        for a, b in pairs
        for i in range(min(len(a.values), len(b.values)))
        if a.values[i] and b.values[i]
    ]
    return holm(found)


def _by_metric(settings: Sequence[Group]) -> list[list[Group]]:
    found: list[list[Group]] = []
    for group in settings:
        alike = next((own for own in found if own[0].metric.is_like(group.metric)), None)
        if alike is None:
            found.append([group])
        else:
            alike.append(group)
    return found


def _chosen(settings: Sequence[Group]) -> list[Group]:
    scored = [g for g in settings if g.values and g.values[-1]]

    def rank(group: Group) -> tuple[bool, float]:
        return group.n < 2, group.metric.cost(_mean(list(group.values[-1].values()), group.metric))

    best = sorted(scored, key=rank)[:COMPARED_SETTINGS]
    return [g for g in scored if g in best]


def _mean(values: Sequence[float], metric: Metric) -> float:
    """Of what is compared."""
    return math.fsum(_compared(values, metric)) / len(values)


def _compared(values: Sequence[float], metric: Metric) -> list[float]:
    return [math.log(value) for value in values] if metric.is_logarithmic else list(values)


def compare_pair(a: Group, b: Group, submodel: int) -> Comparison:
    """Welch's t-test; the paired t-test where both have the same seeds. Of logarithms where it is a ratio.

    With fewer than two trainings of one of them nobody can tell: interval and p are None.
    """
    of_a, of_b, metric = a.values[submodel], b.values[submodel], a.metric
    paired, is_ratio = set(of_a) == set(of_b), metric.is_logarithmic
    seeds = sorted(of_a)
    values_a = _compared([of_a[s] for s in seeds], metric)
    values_b = _compared([of_b[s] for s in (seeds if paired else sorted(of_b))], metric)
    difference = _mean(list(of_a.values()), metric) - _mean(list(of_b.values()), metric)
    low = high = p = std = agree = None
    if paired:
        apart = [x - y for x, y in zip(values_a, values_b, strict=True)]
        own = spread(apart)
        std = own.std if own is not None else None
        agree = sum(value * difference > 0 for value in apart)
    if min(len(values_a), len(values_b)) >= 2:
        low, high, p = _paired(values_a, values_b) if paired else _welch(values_a, values_b)
        low, high = (math.exp(low), math.exp(high)) if is_ratio else (low, high)
    return Comparison(
        a.key,
        b.key,
        submodel,
        metric.name,
        ratio=math.exp(difference) if is_ratio else None,
        difference=None if is_ratio else difference,
        low=low,
        high=high,
        better=None if difference == 0 else "a" if metric.cost(difference) < 0 else "b",
        p=p,
        p_holm=None,
        paired=paired,
        n=(len(values_a), len(values_b)),
        std=std,
        agree=agree,
    )


def _paired(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """(low, high, p) of mean(a - b)."""
    differences = [x - y for x, y in zip(a, b, strict=True)]
    n = len(differences)
    own = spread(differences)
    assert own is not None
    assert own.std is not None
    return _t_interval(own.mean, own.std / math.sqrt(n), n - 1)


def _welch(a: Sequence[float], b: Sequence[float]) -> tuple[float, float, float]:
    """(low, high, p) of mean(a) - mean(b), variances not assumed equal."""
    of_a, of_b = spread(a), spread(b)
    assert of_a is not None
    assert of_b is not None
    assert of_a.std is not None
    assert of_b.std is not None
    va, vb = of_a.std**2 / len(a), of_b.std**2 / len(b)
    freedom = (va + vb) ** 2 / (va**2 / (len(a) - 1) + vb**2 / (len(b) - 1)) if va + vb else 1.0
    return _t_interval(of_a.mean - of_b.mean, math.sqrt(va + vb), freedom)


def _t_interval(mean: float, error: float, freedom: float) -> tuple[float, float, float]:
    """(low, high, p) of a mean with a standard error; without scatter the mean is certain."""
    if error == 0.0:
        return mean, mean, (1.0 if mean == 0.0 else 0.0)
    from scipy.stats import t  # here, as it takes a second to import

    reach = float(t.ppf(1.0 - LEVEL / 2.0, freedom)) * error
    return mean - reach, mean + reach, 2.0 * float(t.sf(abs(mean) / error, freedom))


def holm(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """With p-values corrected by Holm's method over those that have one, in the same order."""
    tested = sorted(
        (i for i, c in enumerate(comparisons) if c.p is not None), key=lambda i: comparisons[i].p or 0.0
    )
    corrected, before = list(comparisons), 0.0
    for rank, i in enumerate(tested):
        p = comparisons[i].p
        assert p is not None
        before = max(before, min(1.0, (len(tested) - rank) * p))
        corrected[i] = replace(comparisons[i], p_holm=before)
    return corrected

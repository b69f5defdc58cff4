"""Repeated seeds: how far they scatter, and whether two settings really differ.

An ESR is a ratio, so logarithms are compared: two settings differ by a factor.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from namexp.comparison.records import Run

LEVEL = 0.05
# Comparing everything with everything would leave nothing to find after the correction.
COMPARED_SETTINGS = 6


@dataclass(frozen=True)
class Spread:
    """An ESR over independent trainings.

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
        esr: for each submodel the ESR by seed, each training once.
        names: of the submodels.
    """

    key: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    esr: tuple[Mapping[int, float], ...]

    @property
    def n(self) -> int:
        """Independent trainings."""
        return max((len(values) for values in self.esr), default=0)

    def spread(self, submodel: int) -> Spread | None:
        """Of one submodel; None where no training has its ESR."""
        return spread(list(self.esr[submodel].values()))


@dataclass(frozen=True)
class Comparison:
    """Whether setting a and setting b differ in the ESR of one submodel.

    Attributes:
        a, b: keys of groups.
        submodel: index in both.
        ratio: geometric mean of a's ESR over b's: below 1 where a is better. None where one has no
            training.
        low, high: its 95 % confidence interval by itself. None where nobody can tell.
        p: two-sided, by itself.
        p_holm: corrected for all comparisons of the report.
        paired: whether the same seeds were compared.
        n: independent trainings of a and of b.
    """

    a: str
    b: str
    submodel: int
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    paired: bool
    n: tuple[int, int]

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
    esr: list[dict[int, float]] = [{} for _ in longest.submodels]
    for run in independent(runs):
        assert run.seed is not None
        for values, submodel in zip(esr, run.submodels, strict=False):
            if submodel.esr is not None and submodel.esr > 0:
                values.setdefault(run.seed, submodel.esr)
    return Group(key, tuple(r.label for r in runs), tuple(s.name for s in longest.submodels), tuple(esr))


def independent(runs: Sequence[Run]) -> list[Run]:
    """One run for each training: the one that did it, where it is among them."""
    found: dict[str, Run] = {}
    for run in sorted(runs, key=lambda run: run.reused_from is not None):
        found.setdefault(run.training_id or str(Path(run.root)), run)
    return list(found.values())


# --- comparisons ----------------------------------------------------------------------------------


def compare(settings: Sequence[Group]) -> list[Comparison]:
    """Every pair of settings, submodel by submodel, Holm-corrected together.

    With more than six settings the six that have the lowest ESR (of their largest submodel) among
    those repeated most are compared.
    """
    chosen = _chosen(settings)
    pairs = itertools.combinations(chosen, 2)
    found = [
        compare_esr(a, b, i)
        for a, b in pairs
        for i in range(min(len(a.esr), len(b.esr)))
        if a.esr[i] and b.esr[i]
    ]
    return holm(found)


def _chosen(settings: Sequence[Group]) -> list[Group]:
    scored = [g for g in settings if g.esr and g.esr[-1]]

    def rank(group: Group) -> tuple[bool, float]:
        return group.n < 2, _mean_log(list(group.esr[-1].values()))

    best = sorted(scored, key=rank)[:COMPARED_SETTINGS]
    return [g for g in scored if g in best]


def _mean_log(values: Sequence[float]) -> float:
    return math.fsum(map(math.log, values)) / len(values)


def compare_esr(a: Group, b: Group, submodel: int) -> Comparison:
    """Welch's t-test on log ESR; the paired t-test where both have the same seeds.

    With fewer than two trainings of one of them nobody can tell: interval and p are None.
    """
    of_a, of_b = a.esr[submodel], b.esr[submodel]
    paired = set(of_a) == set(of_b)
    seeds = sorted(of_a)
    logs_a = [math.log(of_a[s]) for s in seeds]
    logs_b = [math.log(of_b[s]) for s in (seeds if paired else sorted(of_b))]
    difference = _mean_log(list(of_a.values())) - _mean_log(list(of_b.values()))
    low = high = p = None
    if min(len(logs_a), len(logs_b)) >= 2:
        low, high, p = _paired(logs_a, logs_b) if paired else _welch(logs_a, logs_b)
        low, high = math.exp(low), math.exp(high)
    return Comparison(
        a.key, b.key, submodel, math.exp(difference), low, high, p, None, paired, (len(logs_a), len(logs_b))
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

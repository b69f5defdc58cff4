"""Which differences between settings hold, in sentences: sign and size against the spread over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from namexp.comparison.aggregate import Comparison, Group
from namexp.comparison.records import Run
from namexp.comparison.settings import differences


class Verdict(NamedTuple):
    """On one pair of settings.

    Attributes:
        holds: whether the difference is beyond what the seeds scatter; False: this budget cannot tell.
        text: a sentence.
    """

    holds: bool
    text: str


def verdicts(
    runs: Sequence[Run], groups: Sequence[Group], comparisons: Sequence[Comparison]
) -> list[Verdict]:
    """One for every comparison; those that hold come first."""
    names, by_key = _names(runs, groups), {group.key: group for group in groups}
    tested = sum(c.p_holm is not None for c in comparisons)
    found = [_verdict(c, names, by_key, tested) for c in comparisons]
    return sorted(found, key=lambda verdict: not verdict.holds)


def _names(runs: Sequence[Run], groups: Sequence[Group]) -> dict[str, Mapping[str, str]]:
    """Of each group its settings that are not the same in all runs; those that somebody chose, if any."""
    found = differences(runs)
    keys = [d.key for d in found if d.chosen] or [d.key for d in found]
    by_label = {run.label: run for run in runs}
    settings = {group.key: by_label[group.labels[0]].settings for group in groups}
    return {own: {key: str(values[key]) for key in keys if key in values} for own, values in settings.items()}


def _apart(name: Mapping[str, str], other: Mapping[str, str], group: Group) -> str:
    """What a setting says that the other one does not."""
    words = [f"{key}={value}" for key, value in name.items() if other.get(key) != value]
    return ", ".join(words) or f"run {group.labels[0]}"


def _verdict(
    c: Comparison, names: Mapping[str, Mapping[str, str]], groups: Mapping[str, Group], tested: int
) -> Verdict:
    a, b = groups[c.a], groups[c.b]
    size = f" (size {a.names[c.submodel]})" if len(a.names) > 1 else ""
    one, other = (_apart(names[x.key], names[y.key], x) + size for x, y in ((a, b), (b, a)))
    n = min(c.n)
    if c.differ is None:
        return Verdict(False, f"One seed tells nothing of {one} against {other}: {_size(c)}.")
    seen = f"{_size(c)}{_spread(c)}" + (f", of that sign in {c.agree} of {n}" if c.paired else "")
    tests = f"p = {c.p_holm:.3f}" if c.p_holm is None or c.p_holm >= 0.001 else "p < 0.001"
    tests += f" by Holm over {tested}" if tested > 1 else ""
    if not c.differ:
        return Verdict(False, f"This budget cannot tell {one} from {other}: {seen} ({tests}).")
    verb = "better" if c.better == "a" else "worse"
    return Verdict(True, f"It holds that {one} is {verb} than {other}: {seen} ({tests}).")


def _size(c: Comparison) -> str:
    return f"{c.metric} {c.difference:+.3g}" if c.ratio is None else f"{c.metric} × {c.ratio:.3g}"


def _spread(c: Comparison) -> str:
    """How far the difference scatters from seed to seed."""
    if c.std is None:
        return ""
    return (
        f" ± {c.std:.2g} over paired seeds"
        if c.ratio is None
        else f" ×/÷ {math.exp(c.std):.3g} over paired seeds"
    )

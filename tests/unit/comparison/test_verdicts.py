"""Which differences hold: by sign and size against the spread over paired seeds."""

from __future__ import annotations

from pathlib import Path

from namexp.comparison.aggregate import compare, groups
from namexp.comparison.content import describe, find
from namexp.comparison.records import Run, Submodel
from namexp.comparison.verdicts import Verdict, verdicts
from namexp.runs.summaries import BEFORE
from namexp.schema.metric import Metric

LL = Metric("ll", better="higher")


def runs_of(metric: Metric = LL, **values: tuple[float, ...]) -> list[Run]:
    """runs_of(naive=(1.0, 1.1)): a run of each seed."""
    return [
        Run(
            Path(f"{kind}{seed}"), f"{kind}{seed}", "done", settings={"model.kind": kind}, config={"a": 1},
            overrides=(f"model.kind={kind}",), seed=seed, training_id=f"{kind}{seed}", metrics=(metric,),
            group=kind, submodels=(Submodel(0, kind, figures={metric.name: value}),),
        )
        for kind, own in values.items()
        for seed, value in enumerate(own)
    ]  # fmt: skip


def said(runs: list[Run]) -> list[Verdict]:
    found = groups(runs)
    return verdicts(runs, found, compare(found))


def test_a_difference_that_every_seed_shows_holds_however_far_the_seeds_scatter() -> None:
    (verdict,) = said(runs_of(nanoflow=(2.10, 1.51, 3.30), naive=(2.00, 1.40, 3.19)))
    assert verdict.holds
    assert verdict.text.startswith(
        "It holds that model.kind=nanoflow is better than model.kind=naive: ll +0.107 ±"
    )
    assert verdict.text.endswith("± 0.0058 over paired seeds, of that sign in 3 of 3 (p < 0.001).")
    (verdict,) = said(runs_of(naive=(2.00, 1.40, 3.19), nanoflow=(2.10, 1.51, 3.30)))
    assert "model.kind=naive is worse than model.kind=nanoflow: ll -0.107 ±" in verdict.text


def test_a_difference_within_the_spread_is_not_told() -> None:
    (verdict,) = said(runs_of(nanoflow=(2.1, 2.0, 2.3), naive=(2.0, 2.1, 2.1)))
    assert not verdict.holds
    assert verdict.text.startswith(
        "This budget cannot tell model.kind=nanoflow from model.kind=naive: ll +0.0667 ± 0.15 over paired "
        "seeds, of that sign in 2 of 3 (p = 0."
    )


def test_one_seed_tells_nothing() -> None:
    runs = runs_of(nanoflow=(2.1,), naive=(2.0, 2.1))
    (verdict,) = said(runs)
    assert verdict == Verdict(
        False, "One seed tells nothing of model.kind=nanoflow against model.kind=naive: ll +0.05."
    )


def test_ratios_are_told_as_factors_and_those_that_hold_come_first() -> None:
    esr = {"a": (0.10, 0.11, 0.12), "b": (0.101, 0.109, 0.121), "c": (0.20, 0.22, 0.24001)}
    first, second, third = said(runs_of(BEFORE[0], **esr))
    assert [v.holds for v in (first, second, third)] == [True, True, False]
    assert "model.kind=a is better than model.kind=c: ESR × 0.5 ×/÷ 1 over paired seeds" in first.text
    assert "by Holm over 3" in first.text
    assert third.text.startswith("This budget cannot tell model.kind=a from model.kind=b: ESR × 0.99")


def test_the_report_has_them(tmp_path: Path) -> None:
    runs = runs_of(nanoflow=(2.10, 1.90), naive=(2.00, 1.40))
    content = describe(runs, find(runs), name="sweep", directory=tmp_path)
    assert [verdict["holds"] for verdict in content["verdicts"]] == [False]
    assert content["comparisons"][0]["agree"] == 2

"""What a summary says of its metrics, and what is meant where it does not say, or is damaged."""

from __future__ import annotations

from typing import Any

import pytest

from namexp.runs.summaries import BEFORE, FACTS_BEFORE, declared, facts_of, metrics_of
from namexp.schema.metric import Metric
from namexp.tasks.capture.config.whole import CaptureConfig


def test_summaries_that_do_not_say_are_of_amps() -> None:
    assert CaptureConfig.metrics == BEFORE
    assert metrics_of({}) == BEFORE


def test_what_is_declared_is_read_back() -> None:
    metrics = (
        Metric("LL", better="higher", digits=2, meaning="by nats"),
        Metric("RMSE", scale="ratio", tabled=False),
        Metric("LSD", scale="distance"),
    )
    assert metrics_of({"metrics": declared(metrics)}) == metrics


@pytest.mark.parametrize("damaged", [None, [], {}, "ESR", [3], [{"better": "lower"}], [{"name": 5}]])
def test_damaged_ones_are_those_of_amps(damaged: Any) -> None:
    assert metrics_of({"metrics": damaged}) == BEFORE


def test_a_damaged_part_is_as_if_it_were_not_there() -> None:
    entry = {"name": "X", "better": 3, "scale": ["ratio"], "digits": True, "tabled": None, "meaning": 5}
    assert metrics_of({"metrics": [entry]}) == (Metric("X", meaning="5"),)
    assert metrics_of({"metrics": [{"name": "X", "digits": 99}]}) == (Metric("X"),)


@pytest.mark.parametrize("damaged", [None, "channels", [1], {}])
def test_facts_that_are_not_named_are_those_of_amps(damaged: Any) -> None:
    assert facts_of({"facts": damaged}) == FACTS_BEFORE
    assert facts_of({"facts": ["parameters"]}) == ("parameters",)

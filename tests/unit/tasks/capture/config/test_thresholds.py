from __future__ import annotations

import logging
import math
from random import Random
from typing import Any

import pytest

from namexp.errors import UserError
from namexp.tasks.capture.config.thresholds import check_thresholds_setting, resolve_thresholds

PLACE = "export.container_max_values"


@pytest.mark.parametrize(
    ("S", "expected"), [(1, [1.0]), (2, [0.5, 1.0]), (3, [1 / 3, 2 / 3, 1.0]), (4, [0.25, 0.5, 0.75, 1.0])]
)
def test_uniform_is_i_plus_1_over_s(S: int, expected: list[float]) -> None:
    assert resolve_thresholds("uniform", S, PLACE) == expected


def test_a_list_is_taken_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert resolve_thresholds([0.3, 0.7, 1], 3, PLACE) == [0.3, 0.7, 1.0]
    assert caplog.messages == []


@pytest.mark.parametrize(("last", "shown"), [(0.9, "0.9"), (1.5, "1.5"), (0.1, "0.1"), (-2, "-2")])
def test_the_last_one_is_written_as_1_with_a_notice(
    caplog: pytest.LogCaptureFixture, last: float, shown: str
) -> None:
    given = [0.3, last]
    with caplog.at_level(logging.INFO):
        assert resolve_thresholds(given, 2, PLACE) == [0.3, 1.0]
    assert caplog.messages == [f"{PLACE}: the last threshold {shown} is written as 1.0"]
    assert given == [0.3, last]  # the config is left alone


@pytest.mark.parametrize(
    ("value", "resolved", "after", "before"),
    [
        ([1.0, 1.0], [1.0, 1.0], "1", "1"),
        ([0.5, 0.5, 1.0], [0.5, 0.5, 1.0], "0.5", "0.5"),
        ([0.6, 0.4, 1.0], [0.6, 0.4, 1.0], "0.4", "0.6"),
        ([0.0, 1.0], [0.0, 1.0], "0", "0"),
        ([-0.5, 1.0], [-0.5, 1.0], "-0.5", "0"),
        ([1.5, 2.0], [1.5, 1.0], "1", "1.5"),  # ascending as given, not as written
    ],
)
def test_thresholds_must_ascend_from_above_0(
    value: list[float], resolved: list[float], after: str, before: str
) -> None:
    with pytest.raises(UserError) as error:
        resolve_thresholds(value, len(value), PLACE)
    assert str(error.value) == (
        f"{PLACE} (= {value}) gives the thresholds {resolved}, which must be above 0 and strictly "
        f"ascending up to 1.0, but {after} does not follow {before}."
    )


@pytest.mark.parametrize("value", [[1.0], [0.2, 0.5, 1.0]])
def test_one_threshold_for_each_submodel(value: list[float]) -> None:
    with pytest.raises(UserError) as error:
        resolve_thresholds(value, 2, PLACE)
    assert str(error.value) == (
        f"{PLACE} (= {value}) has {len(value)} thresholds and the container has 2 submodels; give "
        "one for each."
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "0.5", True, None])
def test_thresholds_must_be_finite_numbers(bad: Any) -> None:
    with pytest.raises(UserError) as error:
        resolve_thresholds([bad, 1.0], 2, PLACE)
    assert str(error.value) == f"{PLACE} (= {[bad, 1.0]}) must hold finite numbers, got {bad!r}."


@pytest.mark.parametrize("value", [None, [], 0.5, {"a": 1.0}])
def test_a_setting_of_the_wrong_form_is_refused(value: Any) -> None:
    with pytest.raises(UserError) as error:
        check_thresholds_setting(value, PLACE)
    assert (
        str(error.value) == f"{PLACE} (= {value}) must be uniform, compute, quality, or a list of thresholds."
    )


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UserError) as error:
        check_thresholds_setting("unifrom", PLACE)
    message = str(error.value)
    assert message.startswith(f"{PLACE} (= 'unifrom') must be uniform")
    assert "a list with one threshold for each submodel, such as [0.3,1.0]" in message


def test_compute_cumulates_the_cost() -> None:
    assert resolve_thresholds("compute", 3, PLACE, macs_per_sample=[100, 300, 600]) == [0.1, 0.4, 1.0]
    # A2: 1731 and 11776 multiply-adds per sample
    assert resolve_thresholds("compute", 2, PLACE, macs_per_sample=[1731, 11776]) == [1731 / 13507, 1.0]


def test_quality_cumulates_what_each_submodel_gains_in_db() -> None:
    # 10 dB over silence, 10 dB more, 20 dB more
    assert resolve_thresholds("quality", 3, PLACE, esrs=[0.1, 0.01, 0.0001]) == pytest.approx(
        [0.25, 0.5, 1.0]
    )


@pytest.mark.parametrize(
    ("esrs", "gains"),
    [
        ([0.1, 0.2], [10.0, 0.5]),  # worse than the smaller one
        ([2.0, 0.1], [0.5, 10 * math.log10(20)]),  # worse than silence
        ([math.nan, 0.1], [0.5, 0.5]),  # never measured
        ([0.1, 0.0], [10.0, 0.5]),  # no figure in dB
    ],
)
def test_quality_gives_every_submodel_at_least_half_a_db(esrs: list[float], gains: list[float]) -> None:
    expected = [gains[0] / sum(gains), 1.0]
    assert resolve_thresholds("quality", 2, PLACE, esrs=esrs) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("S", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(5))
def test_named_thresholds_are_always_legal(S: int, seed: int) -> None:
    random = Random(seed)
    macs = [random.randrange(1, 10**6) for _ in range(S)]
    esrs = [10 ** random.uniform(-6, 1) for _ in range(S)]
    for name in ("uniform", "compute", "quality"):
        values = resolve_thresholds(name, S, PLACE, macs_per_sample=macs, esrs=esrs)
        assert values[-1] == 1.0
        assert resolve_thresholds(values, S, PLACE) == values  # what a list would have to fulfil

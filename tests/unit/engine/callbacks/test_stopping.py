"""Reasons to stop: good enough, no progress, diverged. Every submodel counts by itself."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from namexp.engine.callbacks.stopping import Goal, StopAfterSteps, StopEarly
from namexp.schema.callbacks import CallbacksConfig
from namexp.schema.metric import Metric
from namexp.tasks.capture.module import CaptureModule
from tests.captures import one_model, two_submodels

LOGGER = "namexp.engine.callbacks.stopping"


ESR = Metric("ESR")


def _stop_early(*, stop_at_esr: float | None = None, patience: int | None = None) -> StopEarly:
    goal = None if stop_at_esr is None else Goal(ESR, stop_at_esr, "callbacks.stop_at_esr")
    return StopEarly(ESR, goal=goal, patience=patience)


@pytest.fixture(scope="module")
def pack() -> CaptureModule:
    return two_submodels([1])


@pytest.fixture(scope="module")
def single() -> CaptureModule:
    return one_model()


def _stops(
    callback: StopEarly,
    task: CaptureModule,
    losses: tuple[float, ...],
    esrs: tuple[float, ...] | None = None,
    *,
    sanity_checking: bool = False,
) -> bool:
    """Whether the callback ends training after a validation with these values."""
    suffixes = task.network.row_suffixes if len(losses) > 1 else ("",)
    esrs = esrs or tuple(0.5 for _ in losses)
    metrics = {f"val_loss{s}": value for s, value in zip(suffixes, losses, strict=True)}
    metrics |= {f"ESR{s}": value for s, value in zip(suffixes, esrs, strict=True)}
    metrics |= {"val_loss": sum(losses) / len(losses), "ESR": sum(esrs) / len(esrs)}
    trainer: Any = SimpleNamespace(
        callback_metrics={key: torch.tensor(value) for key, value in metrics.items()},
        sanity_checking=sanity_checking,
        current_epoch=6,
        should_stop=False,
    )
    callback.on_validation_end(trainer, task)
    return trainer.should_stop


# --- good enough ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("esrs", "stops"),
    [
        ((0.0625, 0.125), True),  # at it is enough
        ((0.25, 0.0), False),  # the mean is 0.125, the worst is not
        ((0.0, 0.25), False),
        ((0.125, 0.126), False),
        ((0.0, math.nan), False),
    ],
)
def test_the_worst_submodel_must_be_good_enough(
    pack: CaptureModule, esrs: tuple[float, float], stops: bool
) -> None:
    assert _stops(_stop_early(stop_at_esr=0.125), pack, (0.5, 0.5), esrs) is stops


def test_an_ordinary_model_stops_at_its_esr(single: CaptureModule, caplog: pytest.LogCaptureFixture) -> None:
    callback = _stop_early(stop_at_esr=0.125)
    assert not _stops(callback, single, (0.5,), (0.25,))
    with caplog.at_level(logging.INFO, LOGGER):
        assert _stops(callback, single, (0.5,), (0.0625,))
    assert caplog.messages == [
        "training stops after epoch 7: every ESR is at or below callbacks.stop_at_esr = 0.125"
    ]


def test_without_settings_it_goes_on(pack: CaptureModule) -> None:
    callback = _stop_early()
    assert not any(_stops(callback, pack, (0.5, 0.5), (0.0, 0.0)) for _ in range(50))


# --- patience -------------------------------------------------------------------------------------


def _stopped_after(callback: StopEarly, task: CaptureModule, losses: list[tuple[float, ...]]) -> int | None:
    """The number of the validation that ended training."""
    return next((i for i, values in enumerate(losses) if _stops(callback, task, values)), None)


def test_patience_counts_validations_without_a_better_loss(
    single: CaptureModule, caplog: pytest.LogCaptureFixture
) -> None:
    losses = [(0.5,), (0.6,), (0.5,), (0.4,), (0.4,), (0.9,), (0.5,)]
    with caplog.at_level(logging.INFO, LOGGER):
        assert _stopped_after(_stop_early(patience=3), single, losses) == 6
    assert caplog.messages == [
        "training stops after epoch 7: no better val_loss in callbacks.patience = 3 validations"
    ]
    assert _stopped_after(_stop_early(patience=2), single, losses) == 2
    assert _stopped_after(_stop_early(patience=4), single, losses) is None


def test_one_submodel_that_improves_keeps_training_going(pack: CaptureModule) -> None:
    losses = [(0.5, 0.5), (0.9, 0.4), (0.4, 0.9), (0.9, 0.3), (0.3, 0.9)]  # the mean gets worse
    assert _stopped_after(_stop_early(patience=1), pack, losses) is None


def test_a_step_back_is_not_progress_when_it_is_made_up_for(pack: CaptureModule) -> None:
    losses = [(0.5, 0.5), (0.9, 0.9), (0.6, 0.6)]  # better than the one before, not than the best
    assert _stopped_after(_stop_early(patience=2), pack, losses) == 2


def test_a_nan_is_no_progress_and_does_not_spoil_the_best(pack: CaptureModule) -> None:
    losses = [(0.5, 0.5), (math.nan, 0.6), (0.6, math.nan), (0.45, 0.6), (0.6, 0.6), (0.6, 0.6), (0.6, 0.6)]
    assert _stopped_after(_stop_early(patience=3), pack, losses) == 6


def test_patience_survives_a_checkpoint(pack: CaptureModule) -> None:
    losses = [(0.5, 0.25), (0.4, 0.3), (0.45, 0.3), (0.45, 0.26), (0.41, 0.3)]
    assert _stopped_after(_stop_early(patience=3), pack, losses) == 4
    for cut in range(1, 4):
        first, second = _stop_early(patience=3), _stop_early(patience=3)
        assert _stopped_after(first, pack, losses[:cut]) is None
        second.load_state_dict(first.state_dict())
        assert _stopped_after(second, pack, losses[cut:]) == 4 - cut
    state = first.state_dict()
    assert (state["best"], state["waited"]) == (pytest.approx([0.4, 0.25]), 1)
    assert state["losses"] == pytest.approx([0.45, 0.3])


@pytest.mark.parametrize(
    ("settings", "losses", "esrs", "stops"),
    [
        ({}, [], [], False),  # nothing known yet
        ({}, [0.5, 0.5], [0.1, 0.1], False),
        ({}, [math.nan, math.inf], [0.1, 0.1], True),
        ({"stop_at_esr": 0.1}, [0.5, 0.5], [0.1, 0.05], True),
        ({"stop_at_esr": 0.1}, [0.5, 0.5], [0.1, 0.2], False),
        ({"patience": 3}, [0.5, 0.5], [0.1, 0.1], True),
        ({"patience": 4}, [0.5, 0.5], [0.1, 0.1], False),  # raised since
    ],
)
def test_what_had_stopped_stays_stopped_unless_the_settings_say_otherwise(
    pack: CaptureModule, settings: dict[str, Any], losses: list[float], esrs: list[float], stops: bool
) -> None:
    callback = _stop_early(**settings)
    callback.load_state_dict({"best": losses, "waited": 3, "losses": losses, "esrs": esrs})
    trainer: Any = SimpleNamespace(should_stop=False)
    callback.on_fit_start(trainer, pack)
    assert trainer.should_stop is stops


def test_so_many_steps_and_no_more(pack: CaptureModule) -> None:
    callback = StopAfterSteps(3)
    seen = []
    for step in range(5):
        pack.updates = step
        trainer: Any = SimpleNamespace(should_stop=False)
        callback.on_train_batch_start(trainer, pack, None, 0)
        at_start: Any = SimpleNamespace(should_stop=False)
        callback.on_train_start(at_start, pack)
        seen.append((trainer.should_stop, at_start.should_stop))
    # the third step, which begins when two are done, knows that it is the last
    assert seen == [(False, False)] * 2 + [(True, False)] + [(True, True)] * 2


def test_the_sanity_check_does_not_count(pack: CaptureModule) -> None:
    callback = _stop_early(stop_at_esr=0.5, patience=1)
    assert not _stops(callback, pack, (math.nan, math.nan), (0.0, 0.0), sanity_checking=True)
    assert callback.state_dict() == {"best": [], "waited": 0, "losses": [], "esrs": []}


# --- a goal of any metric -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("better", "values", "reached"),
    [
        ("lower", [0.5, 0.25], True), ("lower", [0.5, 0.75], False), ("lower", [0.25, math.nan], False),
        ("higher", [0.5, 0.75], True), ("higher", [0.25, 0.75], False), ("higher", [math.inf, 0.5], True),
    ],
)  # fmt: skip
def test_a_goal_is_reached_by_every_row_in_its_own_direction(
    better: Any, values: list[float], reached: bool
) -> None:
    goal = Goal(Metric("LL", better=better), 0.5, "callbacks.stop_at")
    assert goal.reached(values) is reached
    where = "below" if better == "lower" else "above"
    assert str(goal) == f"every LL is at or {where} callbacks.stop_at = 0.5"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, None), ({"stop_at": -2}, (-2.0, "callbacks.stop_at")),
     ({"stop_at_esr": 0.5}, (0.5, "callbacks.stop_at_esr"))],
)  # fmt: skip
def test_both_names_of_the_goal_are_understood(settings: dict[str, Any], expected: Any) -> None:
    callbacks = CallbacksConfig(
        True, True, settings.get("stop_at_esr"), None, stop_at=settings.get("stop_at")
    )
    assert Goal.of(callbacks, ESR) == (expected and Goal(ESR, *expected))


# --- divergence -----------------------------------------------------------------------------------


def test_training_that_has_diverged_stops(pack: CaptureModule, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        assert _stops(_stop_early(), pack, (math.nan, math.inf))
    assert caplog.messages == [
        "training stops after epoch 7: it has diverged, none has a finite val_loss; try a lower optimizer.lr"
    ]


@pytest.mark.parametrize("losses", [(math.nan, 0.5), (0.5, math.inf)])
def test_one_submodel_that_diverges_does_not_stop_the_other(
    pack: CaptureModule, losses: tuple[float, float]
) -> None:
    callback = _stop_early(patience=10, stop_at_esr=0.01)
    assert not any(_stops(callback, pack, losses) for _ in range(5))


def test_an_ordinary_model_that_diverges_stops(single: CaptureModule) -> None:
    assert _stops(_stop_early(), single, (math.nan,))
    assert not _stops(_stop_early(), single, (1e30,))

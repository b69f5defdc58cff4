"""Reasons to stop: good enough, no progress, diverged. Every submodel counts by itself."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from namexp.engine.callbacks.stopping import SilenceCheck, StopAfterSteps, StopEarly
from namexp.schema.experiment import parse_model
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.module import CaptureTask
from namexp.tasks.capture.networks import build_network

LOGGER = "namexp.engine.callbacks.stopping"


def _task(model: dict[str, Any]) -> CaptureTask:
    arrays = [
        {"kernel_sizes": 2, "dilations": [1], "activation": "Tanh", "head": {"kernel_size": 1, "bias": True}}
    ]
    plan = parse_model({"head_scale": 0.5, "layer_arrays": arrays, **model})
    return CaptureTask(
        build_network(plan, seed=0),
        loss=LossConfig(1.0, 0.0, 0.0, 0.0, 0.0, 0.85, 0.0, 0.85, "mse"),
        optimizer=OptimizerConfig("SGD", 0.1, 0.0, {}),
        scheduler=SchedulerConfig(None, {}, "epoch", "val_loss"),
    )


@pytest.fixture(scope="module")
def pack() -> CaptureTask:
    return _task({"kind": "packed_wavenet", "channels": [1, 2], "submodels": None})


@pytest.fixture(scope="module")
def single() -> CaptureTask:
    return _task({"kind": "wavenet", "channels": [1], "head": None, "condition_dsp": None})


def _stops(
    callback: StopEarly,
    task: CaptureTask,
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
    pack: CaptureTask, esrs: tuple[float, float], stops: bool
) -> None:
    assert _stops(StopEarly(stop_at_esr=0.125), pack, (0.5, 0.5), esrs) is stops


def test_an_ordinary_model_stops_at_its_esr(single: CaptureTask, caplog: pytest.LogCaptureFixture) -> None:
    callback = StopEarly(stop_at_esr=0.125)
    assert not _stops(callback, single, (0.5,), (0.25,))
    with caplog.at_level(logging.INFO, LOGGER):
        assert _stops(callback, single, (0.5,), (0.0625,))
    assert caplog.messages == [
        "training stops after epoch 7: every ESR is at or below callbacks.stop_at_esr = 0.125"
    ]


def test_without_settings_it_goes_on(pack: CaptureTask) -> None:
    callback = StopEarly()
    assert not any(_stops(callback, pack, (0.5, 0.5), (0.0, 0.0)) for _ in range(50))


# --- patience -------------------------------------------------------------------------------------


def _stopped_after(callback: StopEarly, task: CaptureTask, losses: list[tuple[float, ...]]) -> int | None:
    """The number of the validation that ended training."""
    return next((i for i, values in enumerate(losses) if _stops(callback, task, values)), None)


def test_patience_counts_validations_without_a_better_loss(
    single: CaptureTask, caplog: pytest.LogCaptureFixture
) -> None:
    losses = [(0.5,), (0.6,), (0.5,), (0.4,), (0.4,), (0.9,), (0.5,)]
    with caplog.at_level(logging.INFO, LOGGER):
        assert _stopped_after(StopEarly(patience=3), single, losses) == 6
    assert caplog.messages == [
        "training stops after epoch 7: no better val_loss in callbacks.patience = 3 validations"
    ]
    assert _stopped_after(StopEarly(patience=2), single, losses) == 2
    assert _stopped_after(StopEarly(patience=4), single, losses) is None


def test_one_submodel_that_improves_keeps_training_going(pack: CaptureTask) -> None:
    losses = [(0.5, 0.5), (0.9, 0.4), (0.4, 0.9), (0.9, 0.3), (0.3, 0.9)]  # the mean gets worse
    assert _stopped_after(StopEarly(patience=1), pack, losses) is None


def test_a_step_back_is_not_progress_when_it_is_made_up_for(pack: CaptureTask) -> None:
    losses = [(0.5, 0.5), (0.9, 0.9), (0.6, 0.6)]  # better than the one before, not than the best
    assert _stopped_after(StopEarly(patience=2), pack, losses) == 2


def test_a_nan_is_no_progress_and_does_not_spoil_the_best(pack: CaptureTask) -> None:
    losses = [(0.5, 0.5), (math.nan, 0.6), (0.6, math.nan), (0.45, 0.6), (0.6, 0.6), (0.6, 0.6), (0.6, 0.6)]
    assert _stopped_after(StopEarly(patience=3), pack, losses) == 6


def test_patience_survives_a_checkpoint(pack: CaptureTask) -> None:
    losses = [(0.5, 0.25), (0.4, 0.3), (0.45, 0.3), (0.45, 0.26), (0.41, 0.3)]
    assert _stopped_after(StopEarly(patience=3), pack, losses) == 4
    for cut in range(1, 4):
        first, second = StopEarly(patience=3), StopEarly(patience=3)
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
    pack: CaptureTask, settings: dict[str, Any], losses: list[float], esrs: list[float], stops: bool
) -> None:
    callback = StopEarly(**settings)
    callback.load_state_dict({"best": losses, "waited": 3, "losses": losses, "esrs": esrs})
    trainer: Any = SimpleNamespace(should_stop=False)
    callback.on_fit_start(trainer, pack)
    assert trainer.should_stop is stops


def test_so_many_steps_and_no_more(pack: CaptureTask) -> None:
    callback = StopAfterSteps(3)
    seen = []
    for step in range(5):
        trainer: Any = SimpleNamespace(should_stop=False, global_step=step)
        callback.on_train_batch_start(trainer, pack, None, 0)
        at_start: Any = SimpleNamespace(should_stop=False, global_step=step)
        callback.on_train_start(at_start, pack)
        seen.append((trainer.should_stop, at_start.should_stop))
    # the third step, which begins when two are done, knows that it is the last
    assert seen == [(False, False)] * 2 + [(True, False)] + [(True, True)] * 2


def test_the_sanity_check_does_not_count(pack: CaptureTask) -> None:
    callback = StopEarly(stop_at_esr=0.5, patience=1)
    assert not _stops(callback, pack, (math.nan, math.nan), (0.0, 0.0), sanity_checking=True)
    assert callback.state_dict() == {"best": [], "waited": 0, "losses": [], "esrs": []}


# --- divergence -----------------------------------------------------------------------------------


def test_training_that_has_diverged_stops(pack: CaptureTask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, LOGGER):
        assert _stops(StopEarly(), pack, (math.nan, math.inf))
    assert caplog.messages == [
        "training stops after epoch 7: it has diverged, no submodel has a finite val_loss; try a lower "
        "optimizer.lr"
    ]


@pytest.mark.parametrize("losses", [(math.nan, 0.5), (0.5, math.inf)])
def test_one_submodel_that_diverges_does_not_stop_the_other(
    pack: CaptureTask, losses: tuple[float, float]
) -> None:
    callback = StopEarly(patience=10, stop_at_esr=0.01)
    assert not any(_stops(callback, pack, losses) for _ in range(5))


def test_an_ordinary_model_that_diverges_stops(single: CaptureTask) -> None:
    assert _stops(StopEarly(), single, (math.nan,))
    assert not _stops(StopEarly(), single, (1e30,))


# --- silence --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("epoch", "esr", "sanity", "warns"),
    [(4, 0.96, False, True), (4, 0.94, False, False), (3, 0.96, False, False), (6, 0.96, False, True),
     (4, 0.96, True, False)],
)  # fmt: skip
def test_a_network_that_stays_silent_is_told_about_once(
    single: CaptureTask, caplog: pytest.LogCaptureFixture, epoch: int, esr: float, sanity: bool, warns: bool
) -> None:
    trainer: Any = SimpleNamespace(
        callback_metrics={"ESR": torch.tensor(esr)}, sanity_checking=sanity, current_epoch=epoch
    )
    check = SilenceCheck()
    with caplog.at_level(logging.WARNING, LOGGER):
        check.on_validation_end(trainer, single)
        check.on_validation_end(trainer, single)
    message = (
        f"ESR is still 0.96 after {epoch + 1} epochs, about what silence scores; "
        "check data.delay and that input and target belong together"
    )
    assert caplog.messages == ([message] if warns else [])

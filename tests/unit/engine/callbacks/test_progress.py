"""The bar of a training, and what is logged while it is there."""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from namexp.engine.callbacks.progress import TrainingProgress
from namexp.schema.metric import Metric
from namexp.tasks.capture.module import CaptureModule
from tests.captures import two_submodels


@pytest.fixture
def console(capsys: pytest.CaptureFixture[str]) -> Iterator[logging.Handler]:
    """As a command sets it up."""
    root, level = logging.getLogger(), logging.getLogger().level
    handler = logging.StreamHandler(sys.stderr)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


def _training() -> Any:
    return SimpleNamespace(num_training_batches=4, max_epochs=2, current_epoch=0)


@pytest.fixture(scope="module")
def task() -> CaptureModule:
    return _of_8_steps()


def _of_8_steps() -> CaptureModule:
    task = two_submodels([1])
    task.total_steps = 8
    return task


@pytest.mark.parametrize("end", ["on_train_end", "on_exception"])
def test_what_is_logged_stands_above_the_bar(
    end: str, console: logging.Handler, capsys: pytest.CaptureFixture[str], task: CaptureModule
) -> None:
    progress = TrainingProgress(Metric("ESR"))
    progress.on_train_start(_training(), task)
    progress.on_train_batch_end(_training(), task)
    logging.getLogger("somewhere").info("compiling")
    getattr(progress, end)()
    assert "\rcompiling\n" in capsys.readouterr().err, "at the beginning of a line of its own"
    assert console in logging.getLogger().handlers, "afterwards all is as it was"


def test_the_headline_of_every_row_is_shown(capsys: pytest.CaptureFixture[str], task: CaptureModule) -> None:
    progress = TrainingProgress(Metric("ESR"))
    progress.on_train_start(_training(), task)
    known = {
        "ESR_packed_0": torch.tensor(0.5),
        "ESR_packed_1": torch.tensor(0.25),
        "ESR": torch.tensor(0.375),
    }
    progress.on_validation_end(SimpleNamespace(callback_metrics=known, sanity_checking=False), task)
    progress.on_train_end()
    assert "ESR 0.5000, 0.2500" in capsys.readouterr().err


def test_a_continued_training_goes_on_counting(capsys: pytest.CaptureFixture[str]) -> None:
    task, progress = _of_8_steps(), TrainingProgress(Metric("ESR"))
    task.updates = 4
    progress.on_train_start(_training(), task)
    progress.on_train_end()
    assert "4/8 steps" in capsys.readouterr().err


def test_other_processes_show_nothing(
    console: logging.Handler, capsys: pytest.CaptureFixture[str], task: CaptureModule
) -> None:
    progress = TrainingProgress(Metric("ESR"))
    progress.disable()
    progress.on_train_start(_training(), task)
    assert console in logging.getLogger().handlers
    progress.on_train_end()
    assert capsys.readouterr().err == ""


def test_a_training_by_time_has_no_end_until_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    task, progress, training = _of_8_steps(), TrainingProgress(Metric("ESR")), _training()
    task.total_steps, training.max_epochs = math.inf, -1
    progress.on_train_start(training, task)
    progress.on_train_batch_end(training, task)
    assert progress._bar.total is None
    task.total_steps, training.max_epochs = 12, 3
    progress.on_train_batch_end(training, task)
    progress._bar.refresh()
    progress.on_train_end()
    assert "epoch 1/3:   17%|" in capsys.readouterr().err

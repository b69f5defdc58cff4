"""The bar of a training, and what is logged while it is there."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from namexp.engine.callbacks.progress import TrainingProgress


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
    return SimpleNamespace(num_training_batches=4, max_epochs=2, global_step=0, current_epoch=0)


@pytest.mark.parametrize("end", ["on_train_end", "on_exception"])
def test_what_is_logged_stands_above_the_bar(
    end: str, console: logging.Handler, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = TrainingProgress()
    progress.on_train_start(_training(), None)
    progress.on_train_batch_end(_training())
    logging.getLogger("somewhere").info("compiling")
    getattr(progress, end)()
    assert "\rcompiling\n" in capsys.readouterr().err, "at the beginning of a line of its own"
    assert console in logging.getLogger().handlers, "afterwards all is as it was"


def test_other_processes_show_nothing(console: logging.Handler, capsys: pytest.CaptureFixture[str]) -> None:
    progress = TrainingProgress()
    progress.disable()
    progress.on_train_start(_training(), None)
    assert console in logging.getLogger().handlers
    progress.on_train_end()
    assert capsys.readouterr().err == ""

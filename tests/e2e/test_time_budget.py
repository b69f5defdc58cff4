"""A training by time: a clock counts its steps off, once. Here it is one that ticks when it is looked at."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from namexp.engine.callbacks import time_budget
from namexp.engine.checkpoint import load_checkpoint
from namexp.errors import UserError
from namexp.runs.files import read_json
from namexp.runs.metrics import read_metrics
from namexp.tasks.capture.layout import CaptureLayout
from tests.e2e import test_density as densities
from tests.e2e import test_flows as flows
from tests.e2e import test_vocoder as vocoders
from tests.e2e.test_resume import _equal, _fail_at, _nam_weights, _run, _state
from tests.e2e.test_training import KINDS, SMALL

pytestmark = pytest.mark.e2e

TICK = 1 / 128  # sums of it are exact
OVERRIDES = (
    *KINDS["packed"], "optimizer=soap", "scheduler=warmup_cosine", "scheduler.options.warmup_steps=5",
    "trainer.log_every_n_steps=1", "trainer.max_epochs=1",
)  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at it takes so long."""
    ticks = itertools.count()
    monkeypatch.setattr(time_budget, "time", SimpleNamespace(monotonic=lambda: next(ticks) * TICK))


def test_it_ends_where_the_clock_says_and_goes_on_without_one(
    tmp_path: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, clock: None
) -> None:
    minutes = "trainer.max_minutes=0.05"  # 3 s
    whole = _run(tmp_path / "whole", pair, *OVERRIDES, minutes)
    summary = read_json(whole.summary)
    step, measured = 2 * TICK, 25  # it looks twice at the clock, for a fifth of the time or a little less
    assert 0.85 * 3.0 / step < summary["steps"] < 3.0 / step
    assert summary["epochs"] > 1, "not those of max_epochs"
    assert load_checkpoint(whole.last_checkpoint)["updates"] == summary["steps"]
    rates = [float(row["train/lr"]) for row in read_metrics(whole.metrics) if row["train/lr"]]
    assert len(rates) == summary["steps"]
    assert rates[5:measured] == pytest.approx([0.01] * (measured - 5))
    assert rates[-1] < 0.0003, "the way down ends there"
    with monkeypatch.context() as patch:
        _fail_at(patch, int(0.6 * summary["steps"]))
        with pytest.raises(RuntimeError, match="the power is gone"):
            _run(tmp_path / "cut", pair, *OVERRIDES, minutes)
    monkeypatch.setattr(time_budget, "time", SimpleNamespace(monotonic=lambda: 0.0))
    cut = _run(tmp_path / "cut", pair, *OVERRIDES, minutes, resume="auto")
    _equal(_state(cut), _state(whole))
    assert _nam_weights(cut) == _nam_weights(whole)


def test_its_length_cannot_be_said_otherwise(tmp_path: Path, pair: tuple[Path, Path], clock: None) -> None:
    run = _run(tmp_path / "run", pair, *OVERRIDES, "trainer.max_minutes=0.03")
    with pytest.raises(
        UserError, match=r"trainer\.max_epochs \(= 9\): .* was begun with 1, and trainer\.max_m"
    ):
        _run(run.root, pair, *OVERRIDES, "trainer.max_minutes=0.03", "trainer.max_epochs=9", resume="yes")
    with pytest.raises(UserError, match="is done, with as many steps as"):
        _run(run.root, pair, *OVERRIDES, "trainer.max_minutes=0.03", resume="yes")
    with pytest.raises(UserError, match=r"they differ in trainer\.max_minutes"):
        _run(run.root, pair, *OVERRIDES, "trainer.max_minutes=0.06", resume="auto")
    for more, message in (
        (["trainer.max_steps=3"], r"max_minutes \(= 1\) and trainer.max_steps \(= 3\) both say when to end"),
        (["trainer.max_minutes=0"], r"trainer.max_minutes \(= 0\) must be above 0 or null"),
        (
            [
                "scheduler=none",
                "scheduler.name=OneCycleLR",
                "scheduler.options={max_lr: 0.1, total_steps: 9}",
            ],
            "OneCycleLR must know before; use scheduler=warmup_cosine",
        ),
    ):
        with pytest.raises(UserError, match=message):
            _run(tmp_path / "bad", pair, *KINDS["packed"], "trainer.max_minutes=1", *more)


def test_a_step_that_takes_longer_than_the_budget_is_the_last(
    tmp_path: Path, pair: tuple[Path, Path], clock: None
) -> None:
    run = _run(tmp_path / "run", pair, *OVERRIDES, "trainer.max_minutes=0.0001")
    assert 1 <= read_json(run.summary)["steps"] <= 6
    assert CaptureLayout(run.root).nam.exists()


TASKS = {
    "of an amp, in double precision": [
        *KINDS["packed"],
        *SMALL,
        "data.stop_seconds=5",
        "trainer.precision='64'",
    ],
    "of a vocoder": vocoders.SETTINGS,
    "of a flow": flows.SETTINGS,
    "of an image density": densities.SETTINGS,
}  # fmt: skip


@pytest.mark.parametrize("what", TASKS)
def test_a_training_of_whatever_knows_how_long_it_takes(
    called: Callable[..., subprocess.CompletedProcess[str]], clock: None, tmp_path: Path, what: str
) -> None:
    settings = [word for word in TASKS[what] if not word.startswith("trainer.max_epochs")]
    ended = called("train", *settings, "callbacks=quiet", "trainer.max_minutes=0.01", "hydra.run.dir=run")
    assert ended.returncode == 0, ended.stderr
    # 0.6 s of a clock that is looked at some times before a fifth of that is gone, and twice a step
    steps = read_json(tmp_path / "run" / "summary.json")["steps"]
    assert 0.6 / (4 * TICK) < steps < 0.6 / (2 * TICK)

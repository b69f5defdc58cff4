"""Jobs of a parallel sweep end with it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from namexp.process.signals import asked, listening
from namexp.sweeps import workers
from namexp.sweeps.directory import SweepLayout
from namexp.sweeps.workers import ending_with, let_workers_finish


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepLayout:
    monkeypatch.setattr(workers, "LOOK_SECONDS", 0.01)
    return SweepLayout(tmp_path)


def _work(seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("in_worker", [True, False])
def test_a_job_is_interrupted_when_its_sweep_is(sweep: SweepLayout, in_worker: bool) -> None:
    sweep.interrupted.write_text(str(os.getppid() if in_worker else os.getpid()))
    with listening(), pytest.raises(KeyboardInterrupt), ending_with(sweep, in_worker=in_worker):
        _work()


def test_and_when_the_waiting_process_is_gone(sweep: SweepLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([10, 10])
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 1))
    with listening(), pytest.raises(KeyboardInterrupt), ending_with(sweep, in_worker=True):
        _work()


def test_but_not_when_the_shell_of_a_single_worker_is(
    sweep: SweepLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter([10, 10])
    monkeypatch.setattr(os, "getppid", lambda: next(parents, 1))
    with listening(), ending_with(sweep, in_worker=False):
        _work(0.2)


def test_another_process_of_the_same_search_is_none_of_its_business(sweep: SweepLayout) -> None:
    sweep.interrupted.write_text("1234567")
    with listening(), ending_with(sweep, in_worker=True):
        _work(0.2)


def test_one_who_is_answering_already_is_not_told_again(sweep: SweepLayout) -> None:
    with listening():
        with ending_with(sweep, in_worker=False):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            sweep.interrupted.write_text(str(os.getpid()))
            _work(0.2)
        assert asked()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_waiting_process_tells_them_and_waits(sweep: SweepLayout, number: signal.Signals) -> None:
    with listening():
        let_workers_finish(sweep)
        signal.raise_signal(number)
        assert sweep.interrupted.read_text() == str(os.getpid())
        with pytest.raises(KeyboardInterrupt):  # the second one abandons them
            signal.raise_signal(number)

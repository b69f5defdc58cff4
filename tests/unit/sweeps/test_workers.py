"""Jobs of a parallel sweep end with it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from namexp.process.signals import asked, listening
from namexp.sweeps import workers
from namexp.sweeps.directory import SweepLayout
from namexp.sweeps.workers import WAITING, ending_with, is_over, let_workers_finish


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepLayout:
    monkeypatch.setattr(workers, "LOOK_SECONDS", 0.01)
    return SweepLayout(tmp_path)


def _work(seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.parametrize("waiting", [os.getppid, os.getpid])  # one worker alone is the waiting process
def test_a_job_is_interrupted_when_its_sweep_is(
    sweep: SweepLayout, monkeypatch: pytest.MonkeyPatch, waiting: Callable[[], int]
) -> None:
    monkeypatch.setenv(WAITING, str(waiting()))
    assert not is_over(sweep)
    sweep.interrupted.write_text(str(waiting()))
    with listening(), pytest.raises(KeyboardInterrupt), ending_with(sweep):
        _work()
    assert is_over(sweep)


def test_and_when_the_waiting_process_is_gone(sweep: SweepLayout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WAITING, "1234567")
    with listening(), pytest.raises(KeyboardInterrupt), ending_with(sweep):
        _work()
    assert is_over(sweep), "its workers begin nothing more"


def test_but_not_when_the_shell_of_a_single_worker_is(
    sweep: SweepLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WAITING, str(os.getpid()))
    monkeypatch.setattr(os, "getppid", lambda: 1)
    with listening(), ending_with(sweep):
        _work(0.2)
    assert not is_over(sweep)


def test_another_process_of_the_same_search_is_none_of_its_business(
    sweep: SweepLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WAITING, str(os.getpid()))
    sweep.interrupted.write_text("1234567")
    with listening(), ending_with(sweep):
        _work(0.2)


def test_one_who_is_answering_already_is_not_told_again(
    sweep: SweepLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WAITING, str(os.getpid()))
    with listening():
        with ending_with(sweep):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            sweep.interrupted.write_text(str(os.getpid()))
            _work(0.2)
        assert asked()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_waiting_process_tells_them_and_waits(
    sweep: SweepLayout, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv(WAITING, "")
    with listening():
        let_workers_finish(sweep)
        signal.raise_signal(number)
        assert sweep.interrupted.read_text() == str(os.getpid())
        with pytest.raises(KeyboardInterrupt):  # the second one abandons them
            signal.raise_signal(number)

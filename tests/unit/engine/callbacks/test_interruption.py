"""The first Ctrl-C waits, the second does not."""

from __future__ import annotations

import signal
import threading

import pytest

from namexp.engine.callbacks.interruption import finishing


def test_the_first_one_waits_until_the_work_is_done() -> None:
    before = signal.getsignal(signal.SIGINT)
    done = []
    with finishing("the export") as interruption:
        assert not interruption.requested
        signal.raise_signal(signal.SIGINT)
        done.append("still here")
    assert (interruption.requested, done) == (True, ["still here"])
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_one_abandons_it() -> None:
    before = signal.getsignal(signal.SIGINT)

    def press_twice() -> None:
        with finishing("the export"):
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        press_twice()
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_changes_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with finishing("the export") as interruption:
            seen.append((interruption.requested, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]

"""The first Ctrl-C waits, the second does not."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest
import pytorch_lightning as pl

from namexp.engine.callbacks.interruption import StopWhenAsked, finishing
from namexp.process.signals import listening


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


def test_a_training_in_which_the_exception_was_swallowed_is_interrupted_again() -> None:
    trainer, module = pl.Trainer(barebones=True, accelerator="cpu"), pl.LightningModule()
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with listening():
            stop = StopWhenAsked()
            stop.on_train_batch_end(trainer, module)
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                stop.on_train_batch_end(trainer, module)
            StopWhenAsked().on_train_batch_end(trainer, module)  # of another training, later
    finally:
        signal.signal(signal.SIGTERM, before)

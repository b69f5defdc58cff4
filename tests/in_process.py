"""``namexp.train`` in this process: starting Python for it takes longer than a tiny training."""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

from namexp import train
from namexp.engine.execution import Execution
from namexp.sweeps.record import SweepRecord

Command = Callable[..., int]


def commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """Gives what runs the command with arguments; its exit status. Everything is put back in the end."""
    before, level = signal.getsignal(signal.SIGTERM), logging.root.level
    handlers = list(logging.root.handlers)

    def run(*arguments: str) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as a process begins
        monkeypatch.setattr(train, "EXECUTION", Execution(train.EXECUTION.tasks))
        monkeypatch.setattr(SweepRecord, "started", None)
        monkeypatch.setattr(sys, "argv", ["namexp.train", *arguments])
        return train.main()

    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    yield run
    signal.signal(signal.SIGTERM, before)
    logging.root.setLevel(level)
    for handler in logging.root.handlers[:]:
        if handler not in handlers:
            logging.root.removeHandler(handler)
            handler.close()

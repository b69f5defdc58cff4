"""Ctrl-C, or SIGTERM, at a moment when something must still be finished."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytorch_lightning as pl

from namexp.process.signals import asked, note_asked

log = logging.getLogger(__name__)


class StopWhenAsked(pl.Callback):
    """Ends a training that goes on although it was interrupted: somebody has swallowed the exception."""

    def __init__(self) -> None:
        self._asked_before = asked()  # and answered by whoever trains now

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        """Interrupt again."""
        del trainer, pl_module
        if asked() and not self._asked_before:
            raise KeyboardInterrupt


@dataclass
class Interruption:
    """Whether Ctrl-C was pressed while work went on."""

    requested: bool = False


@contextmanager
def finishing(what: str) -> Iterator[Interruption]:
    """Let the first Ctrl-C wait until ``what`` is done; a second one raises KeyboardInterrupt.

    Outside the main thread, which signals do not reach, nothing changes.
    """
    state = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield state
        return

    def wait(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        if state.requested:
            raise KeyboardInterrupt
        state.requested = True
        note_asked()
        log.info("interrupted: finishing %s first; Ctrl-C again abandons it", what)

    previous = signal.signal(signal.SIGINT, wait)
    try:
        yield state
    finally:
        signal.signal(signal.SIGINT, previous)

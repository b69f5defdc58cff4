"""Who answers when the process is told to stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import pytorch_lightning as pl


class TermIsInterrupt(pl.Callback):
    """SIGTERM ends a training of several processes as Ctrl-C does.

    Lightning's own answer is an exchange in the midst of whatever the others are doing.
    """

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the place of Lightning's handler, which it removes at the end itself."""
        del trainer, pl_module
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _interrupt)


class TermIsLeftTo(pl.Callback):
    """SIGTERM stays with whoever listened to it before Lightning did.

    A scheduler may send it ahead of the signal by which a job is told to requeue itself.
    """

    def __init__(self) -> None:
        self._listener = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Put it back; Lightning's handler is removed at the end by itself."""
        del trainer, pl_module
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._listener)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    raise KeyboardInterrupt

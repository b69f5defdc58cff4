"""The jobs of a parallel sweep, and the process that waits for them: they end together."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from namexp.process.signals import asked
from namexp.sweeps.directory import SweepLayout

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.3
WAITING = "NAMEXP_SWEEP"  # the variable that tells workers the number of the process that waits for them


def runs_in_workers(launcher: Any) -> bool:
    """Whether this launcher's jobs run in processes that end with the one that waits for them."""
    return bool(launcher._target_.endswith("JoblibLauncher"))


def let_workers_finish(sweep: SweepLayout) -> None:
    """Answer Ctrl-C and SIGTERM by waiting until the jobs have exported.

    They are told by a file in the sweep directory; joblib would kill them if this process ended.
    """
    os.environ[WAITING] = str(os.getpid())
    if threading.current_thread() is not threading.main_thread():
        return

    def wait(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sweep.interrupted.write_text(str(os.getpid()), encoding="utf-8")
        log.info("interrupted: waiting until the jobs have exported; Ctrl-C again abandons them")

    signal.signal(signal.SIGINT, wait)


def is_over(sweep: SweepLayout) -> bool:
    """Whether no job of the sweep may begin any more."""
    return sweep.interrupted.exists() or _is_alone()


def _is_alone() -> bool:
    """Whether the process that waits for this one has died; one worker alone is that process itself."""
    return os.environ.get(WAITING, str(os.getppid())) not in (str(os.getpid()), str(os.getppid()))


@contextmanager
def ending_with(sweep: SweepLayout) -> Iterator[None]:
    """Interrupt the job inside when the sweep has been, or when the process that waits for it has died.

    Ctrl-C in a terminal reaches the jobs by itself, a signal to the waiting process does not.
    """
    over, lock = threading.Event(), threading.Lock()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            if not _is_alone() and not _told(sweep):
                continue
            with lock:  # nobody answers when the job is over
                if not over.is_set() and not asked():
                    os.kill(os.getpid(), signal.SIGTERM)
            return

    threading.Thread(target=look, daemon=True, name="sweep").start()
    try:
        yield
    finally:
        with lock:
            over.set()


def _told(sweep: SweepLayout) -> bool:
    """Several processes may work on one search, each with workers of its own."""
    try:
        return sweep.interrupted.read_text(encoding="utf-8") == os.environ.get(WAITING)
    except OSError:
        return False

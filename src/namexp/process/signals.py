"""How this process is told to stop: SIGTERM does what Ctrl-C does at that moment."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

BOTH = (signal.SIGINT, signal.SIGTERM)

_asked = threading.Event()


def asked() -> bool:
    """Whether this process has been told to stop since it began to listen."""
    return _asked.is_set()


def note_asked() -> None:
    """For whoever answers Ctrl-C in another way than by KeyboardInterrupt."""
    _asked.set()


def interrupt(signum: int, frame: FrameType | None) -> None:
    """What Ctrl-C does: ``asked``, and KeyboardInterrupt.

    Raises:
        KeyboardInterrupt: always.
    """
    del signum, frame
    _asked.set()
    raise KeyboardInterrupt


def is_interruption(error: BaseException | None) -> bool:
    """Whether it began with KeyboardInterrupt: a library that tidies up then may raise something else."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


@contextmanager
def listening() -> Iterator[None]:
    """Be interrupted by Ctrl-C and SIGTERM alike.

    Whoever answers Ctrl-C inside, by a handler of SIGINT, answers SIGTERM too. A process that was started
    with Ctrl-C switched off (nohup, the background of a shell) is still ended by SIGTERM. Somebody who
    listens to SIGTERM already, such as a scheduler's launcher, goes on to do so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in BOTH}
    if before[signal.SIGTERM] is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _as_ctrl_c)
        _asked.clear()
    if before[signal.SIGINT] is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        _restore(before)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        if handler is not None:  # one that Python did not set cannot be set by it
            signal.signal(number, handler)


def _as_ctrl_c(signum: int, frame: FrameType | None) -> None:
    answer = signal.getsignal(signal.SIGINT)
    if callable(answer):
        answer(signal.SIGINT, frame)
    elif not asked():  # else somebody ignores Ctrl-C while it is being answered
        interrupt(signum, frame)


@contextmanager
def held_back() -> Iterator[None]:
    """Finish what is inside first; a signal that came meanwhile is answered afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in BOTH}
    for number in BOTH:
        signal.signal(number, lambda signum, _: came.append(signum))
    try:
        yield
    finally:
        _restore(before)
    if came:
        signal.raise_signal(came[0])

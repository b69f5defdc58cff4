"""One input, examined: what it raises, how long it takes, and how much memory."""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from namexp.errors import UserError

SECONDS, MEGABYTES = 5.0, 1000  # of computation, and above what the process had before
PATIENCE_SECONDS = 30.0  # by the clock: what only waits computes nothing, and machines are shared
LONGEST = 1500  # characters of a message


class Finding(NamedTuple):
    """What is wrong (``traceback``, ``slow``, ``memory``, ``lines``, ``accepted``), and where it was seen."""

    what: str
    told: str


class AcceptedError(Exception):
    """Damage that nobody noticed, or a page that lacks what is sound."""


class _TooSlow(BaseException):
    pass


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        raise _TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def examined(work: Callable[[], bool]) -> tuple[str, Finding | None]:
    """``taken`` or ``refused``, and what is wrong with that, if anything.

    Args:
        work: reads the input; whether it was taken.
    """
    peak, began = _peak(), time.process_time()
    outcome, found = "refused", None
    try:
        with _limited(PATIENCE_SECONDS):
            outcome = "taken" if work() else "refused"
    except (UserError, OSError) as error:
        message = str(error)
        if "\n" in message or len(message) > LONGEST:
            found = Finding("lines", f"{len(message)} characters: {message[:300]!r}")
    except AcceptedError as error:
        found = Finding("accepted", str(error))
    except _TooSlow:
        found = Finding("slow", f"more than {PATIENCE_SECONDS:g} s\n{traceback.format_exc(limit=-6)}")
    except Exception as error:
        found = Finding("traceback", f"{type(error).__name__}\n{traceback.format_exc(limit=-6)}")
    seconds, megabytes = time.process_time() - began, _peak() - peak
    if found is None and seconds > SECONDS:
        found = Finding("slow", f"{seconds:.1f} s")
    if found is None and megabytes > MEGABYTES:
        found = Finding("memory", f"{megabytes:.0f} MB")
    return outcome, found


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000.0

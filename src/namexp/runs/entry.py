"""Entering a run directory: once, by one process, and never over another run's results."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from namexp.errors import UserError, one_line
from namexp.runs.files import read_json, write_json
from namexp.runs.layout import RunLayout

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def now() -> str:
    """The present as ISO 8601 with the time zone, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@contextmanager
def entered(run: RunLayout) -> Iterator[None]:
    """Hold the run directory and keep ``status.json`` true while inside.

    On leaving, the state is ``done``; an exception makes it ``failed`` and KeyboardInterrupt
    ``interrupted``, and both go on.

    Raises:
        UserError: another process holds it, or it has results already.
    """
    run.root.mkdir(parents=True, exist_ok=True)
    with _lock(run):
        _refuse_used(run)
        status: dict[str, Any] = {
            "state": "running", "error": None, "pid": os.getpid(), "started": now(), "ended": None,
        }  # fmt: skip
        write_json(run.status, status)
        try:
            yield
        except KeyboardInterrupt:
            write_json(run.status, {**status, "state": "interrupted", "ended": now()})
            raise
        except BaseException as error:
            reason = f"{type(error).__name__}: {one_line(error)}"
            write_json(run.status, {**status, "state": "failed", "error": reason, "ended": now()})
            raise
        write_json(run.status, {**status, "state": "done", "ended": now()})


@contextmanager
def _lock(run: RunLayout) -> Iterator[None]:
    # The system lets go of the lock when the process ends, however it ends.
    with run.lock.open("w") as file:
        if not _locked(file):
            raise UserError(
                f"{run.root}: another process is at work here; wait for it or choose another hydra.run.dir."
            )
        yield


def _locked(file: IO[str]) -> bool:
    """Take the lock; False where another process has it."""
    try:
        if sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_held(run: RunLayout) -> bool | None:
    """Whether a process is at work in ``run``; None where the lock cannot tell.

    The lock is tried for the length of one call and changes nothing.
    """
    if sys.platform == "win32":
        return None
    try:
        with run.lock.open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False


def _refuse_used(run: RunLayout) -> None:
    if run.last_checkpoint.exists() or run.nam.exists():
        state = read_json(run.status).get("state") if run.status.exists() else "unknown"
        raise UserError(
            f"{run.root}: holds a training already (state: {state}); choose another hydra.run.dir."
        )


def record_failure(run: RunLayout, error: BaseException) -> None:
    """Say in ``status.json`` that a run failed before it could enter its directory.

    A status that is there already belongs to whoever entered, and is left alone unless that failed
    too.
    """
    if isinstance(error, KeyboardInterrupt):
        return
    if run.status.exists() and read_json(run.status).get("state") != "failed":
        return
    write_json(
        run.status,
        {
            "state": "failed",
            "error": f"{type(error).__name__}: {one_line(error)}",
            "pid": os.getpid(),
            "started": now(),
            "ended": now(),
        },
    )

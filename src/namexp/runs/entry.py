"""Entering a run directory: once, by one process, and never over another run's results."""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from namexp.atomic import remove_leftovers
from namexp.door import resuming
from namexp.errors import UserError, one_line
from namexp.process.signals import held_back, is_interruption
from namexp.runs.files import read_json, write_json
from namexp.runs.layout import RunLayout
from namexp.runs.locks import try_lock
from namexp.runs.states import DONE, FAILED, INTERRUPTED, RUNNING


def now() -> str:
    """The present as ISO 8601 with the time zone, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@dataclass
class Entry:
    """A run directory that is held.

    Attributes:
        begun: set when there is no way back to what it was.
        interrupted: set when the work was ended by Ctrl-C and what could be finished was.
    """

    begun: bool = False
    interrupted: bool = False


@contextmanager
def entered(
    run: RunLayout,
    *,
    resume: bool = False,
    products: Sequence[str] = (),
    about: Mapping[str, Any] | None = None,
) -> Iterator[Entry]:
    """Hold the run directory and keep ``status.json`` true while inside.

    On leaving, the state is ``done``; an exception makes it ``failed``, KeyboardInterrupt and
    SystemExit ``interrupted``, and all go on. A UserError before the work has begun leaves a run that
    was there as it was.

    Args:
        run: the directory; made if need be.
        resume: whether it may hold a training, which is then continued.
        products: files that a training makes: they are results too.
        about: more of ``status.json``, known before the work.

    Raises:
        UserError: another process holds it, or it has results already.
    """
    run.root.mkdir(parents=True, exist_ok=True)
    with _lock(run):
        if not resume:
            _refuse_used(run, products)
        status: dict[str, Any] = {
            "state": RUNNING, "error": None, "pid": os.getpid(), "started": now(), "ended": None,
            **(about or {}),
        }  # fmt: skip
        before = read_json(run.status) if resume and run.status.exists() else {}
        if before:
            status["started"] = before.get("started", status["started"])
            resumed = before.get("resumed", [])
            status["resumed"] = [*(resumed if isinstance(resumed, list) else []), now()]
        entry = Entry()
        ended = False
        try:
            _remove_leftovers(run)
            write_json(run.status, status)
            yield entry
            with held_back():
                state = INTERRUPTED if entry.interrupted else DONE
                write_json(run.status, {**status, "state": state, "ended": now()})
                ended = True
        except BaseException as error:
            if not ended:  # else a signal came when all was said
                with held_back():
                    write_json(run.status, _outcome(error, entry, status, before))
            raise


def _remove_leftovers(run: RunLayout) -> None:
    """Of processes that were killed while they wrote here."""
    for folder in (run.root, *(path for path in run.root.iterdir() if path.is_dir())):
        remove_leftovers(folder)


def _outcome(
    error: BaseException, entry: Entry, status: dict[str, Any], before: dict[str, Any]
) -> dict[str, Any]:
    """What ``status.json`` says after an exception."""
    if is_interruption(error):
        return {**status, "state": INTERRUPTED, "ended": now()}
    if isinstance(error, SystemExit):  # a signal told the process to stop
        return {**status, "state": INTERRUPTED, "error": "told to stop", "ended": now()}
    if isinstance(error, UserError) and before and not entry.begun:
        return before
    return {**status, **_failed(error)}


def _failed(error: BaseException) -> dict[str, Any]:
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return {"state": FAILED, "error": f"{kind}{one_line(error)}", "ended": now()}


@contextmanager
def _lock(run: RunLayout) -> Iterator[None]:
    # The system lets go of the lock when the process ends, however it ends.
    with run.lock.open("a+") as file:  # never emptied: it may be a link to anything
        if not _lock_soon(file):
            raise UserError(
                f"{run.root}: another process is at work here; wait for it or choose another hydra.run.dir."
            )
        yield


def _lock_soon(file: IO[str]) -> bool:
    """Try for a moment: somebody may only be looking whether it is held."""
    for _ in range(5):
        if try_lock(file):
            return True
        time.sleep(0.05)
    return False


def is_held(run: RunLayout) -> bool | None:
    """Whether a process is at work in the run directory; None where the lock cannot tell."""
    try:
        with run.lock.open("r+", encoding="utf-8") as file:
            return not try_lock(file)
    except FileNotFoundError:
        return False
    except OSError:
        return None


def _refuse_used(run: RunLayout, products: Sequence[str]) -> None:
    if run.last_checkpoint.exists() or run.matching(products):
        state = read_json(run.status).get("state") if run.status.exists() else "unknown"
        raise UserError(
            f"{run.root}: holds a training already (state: {state}); go on with it by "
            f"{resuming(run.root)}, or choose another hydra.run.dir."
        )


def record_failure(run: RunLayout, error: BaseException) -> None:
    """Say in ``status.json`` that a run failed before it could enter its directory.

    A status that is there already belongs to whoever entered, and is left alone unless that failed
    too.
    """
    if is_interruption(error):
        return
    if run.status.exists() and read_json(run.status).get("state") != FAILED:
        return
    status = {"state": FAILED, "error": None, "pid": os.getpid(), "started": now(), "ended": None}
    write_json(run.status, {**status, **_failed(error)})

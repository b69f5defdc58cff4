"""One training for all jobs of a sweep that would train the same."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from namexp.reading.damage import inside
from namexp.runs.files import read_json, write_json
from namexp.runs.layout import RunLayout
from namexp.runs.locks import locked

log = logging.getLogger(__name__)

WAITING = "waiting for another job of the sweep, which trains the same (%s)"


class SharedTrainings:
    """Who trains what in one sweep directory.

    Every training has a lock, held by the one job that trains it, and, when it is finished, a note of
    where it lies. A job that dies lets go of its lock, and the next one that waits takes over. Paths are
    relative to the sweep, which may be moved.
    """

    def __init__(self, sweep: Path) -> None:
        self._sweep = sweep
        self._root = sweep / ".trainings"

    @contextmanager
    def turn(self, training_id: str, run: RunLayout) -> Iterator[RunLayout | None]:
        """Wait until nobody else trains ``training_id``, and keep it so inside.

        Yields:
            The run that has trained it already; None where it is for ``run`` to do.
        """
        lock = self._root / f"{training_id}.lock"
        with locked(lock, lambda: log.info(WAITING, training_id)):
            yield self._finished(training_id, run)

    def _finished(self, training_id: str, run: RunLayout) -> RunLayout | None:
        note = self._root / f"{training_id}.json"
        if not note.exists():
            return None
        found = RunLayout(inside(self._sweep, read_json(note).get("run")))
        same = found.root.resolve() == run.root.resolve()
        return found if found.last_checkpoint.exists() and not same else None

    def announce(self, training_id: str, run: RunLayout) -> None:
        """Say that ``run`` has trained it to the end."""
        where = os.path.relpath(run.root.resolve(), self._sweep.resolve())
        write_json(self._root / f"{training_id}.json", {"run": Path(where).as_posix()})


def adopt(source: RunLayout, run: RunLayout, *, leaves: Sequence[str], products: Sequence[str]) -> str:
    """Give ``run`` all that the training of ``source`` left.

    Checkpoints are never written in place, so both directories may share them; each keeps working
    without the other.

    Args:
        source: whose training is taken over.
        run: what was there of another training goes.
        leaves: patterns of what a fit leaves besides checkpoints and metrics.
        products: what is made of it.

    Returns:
        Where it comes from, relative to ``run``.
    """
    run.discard_training([*leaves, *products])
    run.root.mkdir(parents=True, exist_ok=True)
    left = source.matching(leaves)
    tables = [path for path in (*left, source.metrics) if path.suffix != ".ckpt" and path.exists()]
    for path in tables:
        target = run.root / path.relative_to(source.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    # the trainer's last state comes last: with it the training counts as done
    checkpoints = [
        *source.trainer_checkpoints(),
        *source.step_checkpoints(),
        *(path for path in left if path.suffix == ".ckpt"),
    ]
    for path in reversed(checkpoints):
        _link(path, run.root / path.relative_to(source.root))
    return Path(os.path.relpath(source.root.resolve(), run.root.resolve())).as_posix()


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)

"""``python -m namexp.engine.follow``: a further process of a training. Started by namexp, not by people."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from namexp.door import INTERRUPTED, OK
from namexp.engine.fitting import take_part
from namexp.errors import UserError
from namexp.process.children import end_children
from namexp.ranks.followers import SCRATCH
from namexp.ranks.pipe import Pipe
from namexp.ranks.place import Place, launched_place
from namexp.ranks.team import joined


def follow(place: Place, pipe: Pipe | None = None) -> int:
    """Train with the first process and leave nothing: it writes, prints and decides.

    Args:
        place: of this process.
        pipe: from the first process; None where it has not started this one.

    Returns:
        The exit status.
    """
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    with joined(place) as wanted:
        if not wanted:
            return OK
        with tempfile.TemporaryDirectory(prefix="namexp-") as folder:
            return INTERRUPTED if take_part(place, Path(folder), pipe) else OK


def _end_with_the_first(folders: list[str]) -> None:
    """The pipe that the first process holds is closed: the main thread may be waiting for one who is gone."""
    end_children()
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # nobody else is left to do it
    os._exit(1)


def main() -> int:
    """The command."""
    place = launched_place()
    if place is None or place.rank == 0 or place.meeting is None:
        raise UserError("namexp.engine.follow is started by namexp.train; use that.")
    folders = [place.meeting, os.environ[SCRATCH]]
    return follow(place, Pipe(sys.stdin.fileno(), lambda: _end_with_the_first(folders)))


if __name__ == "__main__":
    sys.exit(main())

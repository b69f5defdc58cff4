"""``python -m namexp.engine.follow``: a further process of a training. Started by namexp, not by people."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
import warnings
from pathlib import Path

from namexp.door import INTERRUPTED, OK
from namexp.engine.fitting import take_part
from namexp.errors import UserError
from namexp.ranks.place import Place, launched_place
from namexp.ranks.team import joined


def follow(place: Place) -> int:
    """Train with the first process and leave nothing: it writes, prints and decides.

    Returns:
        The exit status.
    """
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    with joined(place) as wanted:
        if not wanted:
            return OK
        with tempfile.TemporaryDirectory(prefix="namexp-") as folder:
            return INTERRUPTED if take_part(place, Path(folder)) else OK


def _end_with_the_first() -> None:
    """End this process when the pipe that the first one holds is closed."""

    def watch() -> None:
        while os.read(0, 1):  # sys.stdin has a lock that could not be broken at the end
            pass
        os._exit(1)  # the main thread may be waiting for somebody who is gone

    threading.Thread(target=watch, daemon=True, name="first process").start()


def main() -> int:
    """The command."""
    place = launched_place()
    if place is None or place.rank == 0:
        raise UserError("namexp.engine.follow is started by namexp.train; use that.")
    _end_with_the_first()
    return follow(place)


if __name__ == "__main__":
    sys.exit(main())

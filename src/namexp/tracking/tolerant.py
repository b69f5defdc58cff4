"""A tracker whose trouble is its own: what it does not take costs a line of the log, never the training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from namexp.errors import one_line
from namexp.tracking.tracker import Clip, Tracker

log = logging.getLogger(__name__)


class Tolerant(Tracker):
    """Hands everything on. Of each kind of thing the first one that is not taken is told, in one line."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__(continued=tracker.continued)
        self._tracker = tracker
        self._told: set[str] = set()

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Hand on."""
        self._try("facts", lambda: self._tracker.summarise(values))

    def files(self, kind: str, paths: Sequence[Path], about: Mapping[str, Any]) -> None:
        """Hand on."""
        self._try(f"files of the {kind}", lambda: self._tracker.files(kind, paths, about))

    def close(self, error: BaseException | None) -> None:
        """Hand on."""
        self._try("end", lambda: self._tracker.close(error))

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        self._try("metrics", lambda: self._tracker.metrics(values, step))

    def _audio(self, clips: Mapping[str, Clip], step: int) -> None:
        self._try("sound", lambda: self._tracker.audio(clips, step))

    def _pictures(self, pictures: Mapping[str, Path], step: int) -> None:
        self._try("pictures", lambda: self._tracker.pictures(pictures, step))

    def _table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        del step  # the other knows the same
        self._try("table", lambda: self._tracker.table(key, columns, rows))

    def _try(self, what: str, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # whatever libraries and servers raise
            if what not in self._told:
                self._told.add(what)
                log.warning(
                    "notice: %s does not take the %s (%s: %s); all of it lies in the run directory",
                    type(self._tracker).__name__, what, type(error).__name__, one_line(error),
                )  # fmt: skip

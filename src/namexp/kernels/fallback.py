"""Saying once, in one line, that torch's own operations do the work, and why."""

from __future__ import annotations

import logging

from namexp.kernels.compiler import switched_off

log = logging.getLogger(__name__)

_told: set[tuple[str, str]] = set()


def told_once(what: str, reason: str) -> None:
    """Log that ``what`` runs slower than it could; silent where that was asked for."""
    if switched_off() or (what, reason) in _told:
        return
    _told.add((what, reason))
    log.warning("notice: %s runs on torch's own operations, which is several times slower: %s", what, reason)

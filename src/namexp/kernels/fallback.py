"""Saying once, in one line, that torch's own operations do the work, and why."""

from __future__ import annotations

import logging
from functools import cache

from namexp.kernels.compiler import switched_off

log = logging.getLogger(__name__)


def told_once(what: str, reason: str) -> None:
    """Warn that ``what`` runs without its kernel; nothing where the user has switched kernels off."""
    if not switched_off():
        _tell(what, reason)


@cache
def _tell(what: str, reason: str) -> None:
    log.warning("notice: %s runs on torch's own operations, which is several times slower: %s", what, reason)

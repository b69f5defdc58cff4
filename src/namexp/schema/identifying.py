"""Which settings count for the identity of a training: all but those that cannot change its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from namexp.schema.initial import SETTINGS as INITIAL

# Of the groups that every task has: what cannot change the weights.
NEUTRAL = (
    "logger",
    "callbacks.progress",
    "callbacks.plots",
    "callbacks.audio",
    "callbacks.report",
    "callbacks.checkpoint_every_n_steps",
    "callbacks.keep_checkpoints",
    "trainer.log_every_n_steps",
    "trainer.cuda_graph",
    *INITIAL,  # the weights' content counts, not the file's name
)
# Of the same: what joined later, and what it is where it changes nothing.
JOINED: Mapping[str, Any] = {
    "callbacks.stop_at": None,
    "trainer.recompute": False,
    "trainer.max_minutes": None,
}


class Identifying(NamedTuple):
    """Which settings do not count.

    Attributes:
        ignored: dotted settings that never do; a list's items stand at its own place.
        joined: settings that do not as long as they have this value: they joined later, and a training keeps
            the identity that it always had.
    """

    ignored: tuple[str, ...]
    joined: Mapping[str, Any]

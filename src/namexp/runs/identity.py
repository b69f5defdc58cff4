"""The identity of a training: a hash of everything that can change its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Settings that cannot change the weights. Everything else counts.
NEUTRAL = (
    "export",
    "logger",
    "callbacks.progress",
    "callbacks.plots",
    "callbacks.audio",
    "callbacks.report",
    "trainer.log_every_n_steps",
    # the files' content counts, not their names
    "data.input",
    "data.target",
    "data.pairs.input",
    "data.pairs.target",
)


def training_id(config: Mapping[str, Any], audio_sha256: Mapping[str, Any]) -> str:
    """16 hex digits that two runs share only if they train alike.

    Args:
        config: the resolved config.
        audio_sha256: of the content of every recording.
    """
    relevant = _without(config, "")
    text = json.dumps({"config": relevant, "audio": audio_sha256}, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without(node: Any, place: str) -> Any:
    if isinstance(node, list | tuple):
        return [_without(item, place) for item in node]  # its items stand at the list's own place
    if not isinstance(node, Mapping):
        return node
    return {
        key: _without(value, f"{place}{key}.")
        for key, value in node.items()
        if f"{place}{key}" not in NEUTRAL
    }

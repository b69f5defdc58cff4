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
    "trainer.cuda_graph",
    # the files' content counts, not their names
    "data.input",
    "data.target",
    "data.pairs.input",
    "data.pairs.target",
    "init_from",
)


def training_id(
    config: Mapping[str, Any], audio_sha256: Mapping[str, Any], initial_sha256: str | None = None
) -> str:
    """16 hex digits that two runs share only if they train alike.

    Args:
        config: the resolved config.
        audio_sha256: of the content of every recording.
        initial_sha256: of the weights that the training starts from; None: drawn from the seed.
    """
    content: dict[str, Any] = {"config": relevant(config), "audio": audio_sha256}
    if initial_sha256 is not None:
        content["initial"] = initial_sha256
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that can change the weights."""
    kept = _without(config, "")
    assert isinstance(kept, dict)
    return kept


def difference(one: Any, other: Any, place: str = "") -> str | None:
    """The first setting, by its dotted name, in which two configs differ; None where they are equal."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in sorted({*one, *other}):
            found = difference(one.get(key), other.get(key), f"{place}.{key}" if place else str(key))
            if found is not None:
                return found
        return None
    return None if one == other else place


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

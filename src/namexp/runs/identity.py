"""The identity of a training: a hash of everything that can change its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

# Settings that joined later, with the value that stands for what was before them: as long as they have it
# they do not count, so that a training keeps the identity that it always had.
JOINED = {"callbacks.stop_at": None}


def training_id(
    config: Mapping[str, Any],
    sha256: Mapping[str, Any],
    initial_sha256: str | None = None,
    *,
    ignored: Collection[str],
) -> str:
    """16 hex digits that two runs share only if they train alike.

    Args:
        config: the resolved config.
        sha256: of the content of everything that is learned from.
        initial_sha256: of the weights that the training starts from; None: drawn from the seed.
        ignored: dotted settings that cannot change the weights; a list's items stand at its own place.
    """
    content: dict[str, Any] = {"config": relevant(config, ignored), "audio": sha256}
    if initial_sha256 is not None:
        content["initial"] = initial_sha256
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seedless_id(config: Mapping[str, Any], sha256: Mapping[str, Any], *, ignored: Collection[str]) -> str:
    """An identity that runs share which differ in nothing but the seed."""
    return training_id({**config, "seed": None}, sha256, ignored=ignored)


def relevant(config: Mapping[str, Any], ignored: Collection[str]) -> dict[str, Any]:
    """The settings that can change the weights."""
    kept = _without(config, "", ignored)
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


def _without(node: Any, place: str, ignored: Collection[str]) -> Any:
    if isinstance(node, list | tuple):
        return [_without(item, place, ignored) for item in node]  # its items stand at the list's own place
    if not isinstance(node, Mapping):
        return node
    return {
        key: _without(value, f"{place}{key}.", ignored)
        for key, value in node.items()
        if f"{place}{key}" not in ignored and not _as_before(f"{place}{key}", value)
    }


def _as_before(place: str, value: Any) -> bool:
    return place in JOINED and value == JOINED[place]

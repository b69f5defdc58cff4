"""The identity of a training: a hash of everything that can change its weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from namexp.schema.identifying import Identifying


def training_id(
    config: Mapping[str, Any],
    sha256: Mapping[str, Any],
    initial_sha256: str | None = None,
    *,
    by: Identifying,
) -> str:
    """16 hex digits that two runs share only if they train alike.

    Args:
        config: the resolved config.
        sha256: of the content of everything that is learned from.
        initial_sha256: of the weights that the training starts from; None: drawn from the seed.
        by: which settings count.
    """
    content: dict[str, Any] = {"config": relevant(config, by), "audio": sha256}
    if initial_sha256 is not None:
        content["initial"] = initial_sha256
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def seedless_id(config: Mapping[str, Any], sha256: Mapping[str, Any], *, by: Identifying) -> str:
    """An identity that runs share which differ in nothing but the seed."""
    return training_id({**config, "seed": None}, sha256, by=by)


def relevant(config: Mapping[str, Any], by: Identifying) -> dict[str, Any]:
    """The settings that can change the weights."""
    kept = _without(config, "", by)
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


def _without(node: Any, place: str, by: Identifying) -> Any:
    if isinstance(node, list | tuple):
        return [_without(item, place, by) for item in node]  # its items stand at the list's own place
    if not isinstance(node, Mapping):
        return node
    return {
        key: _without(value, f"{place}{key}.", by)
        for key, value in node.items()
        if f"{place}{key}" not in by.ignored and not _is_as_before(f"{place}{key}", value, by)
    }


def _is_as_before(place: str, value: Any, by: Identifying) -> bool:
    return place in by.joined and value == by.joined[place]

"""The last state of a training, and whether two are equal to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from namexp.engine.checkpoint import load_checkpoint


def stored(run: Path) -> dict[str, Any]:
    """Everything of the last state but the times."""
    content = load_checkpoint(run / "checkpoints" / "last.ckpt")
    for state in content["callbacks"].values():
        state.pop("seconds", None)
    return content


def equal(one: Any, other: Any) -> bool:
    """At any depth."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)

"""The mean of several checkpoints' weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from namexp.errors import UserError
from namexp.models.waveflow.states import CACHE, PARALLEL


def averaged(
    checkpoints: Iterable[tuple[str, Mapping[str, Tensor]]], *, epsilon: float | None = None,
    normalize: bool = False, count: int | None = None,
) -> dict[str, Tensor]:  # fmt: skip
    """The mean of weights by name, summed in float64.

    Args:
        checkpoints: where each comes from and its weights, the newest first; one is held at a time.
        epsilon: None: all count alike; else the i-th counts epsilon (1 - epsilon)^i, as the official ``-e``.
        normalize: divide those by their sum, which is less than 1.
        count: how many there must be.

    Returns:
        By the names and in the types of the newest, float32 at least; what is no number with a fraction is
        the newest's, and caches are dropped.

    Raises:
        UserError: none or fewer than ``count``, an epsilon that is none, names or shapes that differ.
    """
    if epsilon is not None and not 0 < epsilon <= 1:
        raise UserError(f"epsilon (= {epsilon}) must be above 0 and at most 1.")
    total: dict[str, Tensor] = {}
    newest: dict[str, Tensor] = {}
    first, seen, weights = "", 0, 0.0
    for i, (source, state) in enumerate(checkpoints):
        plain = {name.removeprefix(PARALLEL): value for name, value in state.items()}
        plain.pop(CACHE, None)
        if i == 0:
            newest, first = plain, source
        _check(newest, plain, first, source)
        weight = 1.0 if epsilon is None else epsilon * (1 - epsilon) ** i
        for name, value in plain.items():
            if value.is_floating_point():
                part = value.detach().to("cpu", torch.float64) * weight
                total[name] = total[name].add_(part) if name in total else part
        seen, weights = i + 1, weights + weight
    if seen == 0 or (count is not None and seen < count):
        raise UserError(f"average (= {count or 1}) asks for more checkpoints than there are: {seen}.")
    divisor = weights if epsilon is None or normalize else 1.0
    return {
        name: (total[name] / divisor).to(_type(value)) if name in total else value
        for name, value in newest.items()
    }


def _type(value: Tensor) -> torch.dtype:
    return torch.promote_types(value.dtype, torch.float32)


def _check(newest: Mapping[str, Tensor], other: Mapping[str, Tensor], first: str, source: str) -> None:
    if differing := sorted(newest.keys() ^ other.keys()):
        name = differing[0]
        where, not_where = (first, source) if name in newest else (source, first)
        raise UserError(
            f"{source} and {first} are of different models: {name} is in {where} and not in {not_where}."
        )
    for name, value in newest.items():
        if other[name].shape != value.shape:
            raise UserError(
                f"{source} and {first} are of different models: {name} has shapes "
                f"{tuple(other[name].shape)} and {tuple(value.shape)}."
            )

"""Audio as a picture: sample j * h + i stands in row i, column j.

Letters: B batch, C channels, T samples, h rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def squeeze(x: Tensor, n_height: int) -> Tensor:
    """(..., T) to (..., h, W); h divides T."""
    return x.unflatten(-1, (-1, n_height)).transpose(-1, -2)


def unsqueeze(x: Tensor) -> Tensor:
    """(..., h, W) to (..., T)."""
    return x.transpose(-1, -2).flatten(-2)


def permuted(x: Tensor, order: Sequence[int]) -> Tensor:
    """(B, C, h, W) with row ``order[i]`` in row i."""
    h = x.shape[2]
    if list(order) == list(range(h)):
        return x
    if list(order) == list(reversed(range(h))):
        return x.flip(2)
    return x[:, :, list(order)]


def shifted(x: Tensor) -> Tensor:
    """(B, C, h, W) one row further down, zeros in the first."""
    return F.pad(x[:, :, :-1], (0, 0, 1, 0))

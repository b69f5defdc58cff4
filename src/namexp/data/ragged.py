"""Batches of unequal lengths: padded on the right, and measured without what was padded.

Letters: B batch, T the last dimension.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F


def padded(tensors: Sequence[Tensor], value: float = 0.0) -> tuple[Tensor, Tensor]:
    """Stack (..., T_i) to (B, ..., T), as long as the longest; and the (B,) int64 lengths."""
    lengths = torch.tensor([tensor.shape[-1] for tensor in tensors], dtype=torch.int64)
    longest = int(lengths.max())
    rows = [
        tensor if tensor.shape[-1] == longest else F.pad(tensor, (0, longest - tensor.shape[-1]), value=value)
        for tensor in tensors
    ]
    return torch.stack(rows), lengths


def within(lengths: Tensor, longest: int) -> Tensor:
    """(B, T) true where a row has not ended."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]


def mask_length(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, ..., T) with zeros from the end of each row on, whatever stood there, NaN too.

    Raises:
        ValueError: other than B lengths, or one outside 0 to T.
    """
    if lengths.shape != x.shape[:1]:
        raise ValueError(
            f"mask_length needs a length for each row, got {tuple(lengths.shape)} for {x.shape[0]}."
        )
    if x.shape[0] and not 0 <= int(lengths.min()) <= int(lengths.max()) <= x.shape[-1]:
        raise ValueError(f"lengths must lie between 0 and {x.shape[-1]}, got {lengths.tolist()}.")
    inside = within(lengths, x.shape[-1]).view(x.shape[0], *(1,) * (x.dim() - 2), x.shape[-1])
    return x.masked_fill(~inside, 0.0)


def masked_l1(prediction: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """(B,) mean absolute difference of each row of (B, ..., T), over what has not ended.

    Raises:
        ValueError: the shapes differ, or a row is empty.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"masked_l1 needs equal shapes, got {tuple(prediction.shape)} and {tuple(target.shape)}."
        )
    if int(lengths.min()) < 1:
        raise ValueError(f"masked_l1 needs rows that are not empty, got lengths {lengths.tolist()}.")
    # masked first: an infinite difference would give a gradient that is no number
    distance = mask_length(prediction - target, lengths).abs().flatten(1).sum(1)
    return distance / (lengths * (prediction[0].numel() // prediction.shape[-1]))

"""What a generator's input usually looks like: its mels' mean and spread, seen while it was trained.

Letters: B batch, M mels, F frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from namexp.ranks.shared import total, world_size


class MelStatistics(nn.Module):
    """Running mean and mean square of every bin, kept with the weights."""

    frames: Tensor
    mean: Tensor
    square: Tensor

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.register_buffer("frames", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("square", torch.zeros(n_mels))

    @torch.no_grad()
    def update(self, mel: Tensor) -> None:
        """Take (B, M, F) log mels into account, those of all processes, which have equally many."""
        processes = world_size()
        new = mel.shape[0] * mel.shape[2] * processes
        self.frames += new
        share = new / self.frames
        for kept, values in ((self.mean, mel), (self.square, mel.square())):
            mean = total(values.mean(dim=(0, 2)).to(kept.dtype)) / processes
            kept += share.to(kept.dtype) * (mean - kept)

    def to_plain(self) -> dict[str, Any] | None:
        """Mean and standard deviation of every bin; None before the first batch."""
        if self.frames == 0:
            return None
        spread = (self.square.double() - self.mean.double().square()).clamp(min=0.0).sqrt()
        return {"frames": int(self.frames), "mean": _short(self.mean), "std": _short(spread)}


def _short(values: Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


def overall(statistics: Mapping[str, Any]) -> tuple[float, float]:
    """Mean and standard deviation of all bins together, from those of every bin."""
    mean, std = (torch.tensor(statistics[key], dtype=torch.float64) for key in ("mean", "std"))
    square = (std.square() + mean.square()).mean()
    return float(mean.mean()), float((square - mean.mean().square()).clamp(min=0.0).sqrt())

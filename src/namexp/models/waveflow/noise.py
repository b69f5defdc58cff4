"""White noise that depends on the seed alone, not on how long a clip is or in which pieces it is drawn.

Letters: B batch, h rows, W columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from namexp.errors import UserError
from namexp.models.waveflow.picture import squeeze

BLOCK = 256  # samples that are drawn at once; torch draws the same in pieces of 16, and not in shorter ones


class Noise:
    """The latent of a clip, column by column."""

    def __init__(self, n_height: int, *, seed: int, temperature: float = 1.0, batch: int = 1) -> None:
        """Begin.

        Raises:
            UserError: a temperature below 0.
        """
        if not temperature >= 0:
            raise UserError(f"temperature (= {temperature}) must be at least 0.")
        self._n_height, self._temperature = n_height, temperature
        self._generator = torch.Generator().manual_seed(seed)
        self._left = torch.zeros(batch, 0)

    def columns(self, num_columns: int) -> Tensor:
        """The next (B, 1, h, W) on the CPU, float32."""
        samples = num_columns * self._n_height
        blocks = -(-max(0, samples - self._left.shape[1]) // BLOCK)
        drawn = [torch.randn(len(self._left), BLOCK, generator=self._generator) for _ in range(blocks)]
        there = torch.cat([self._left, *drawn], dim=1)
        self._left = there[:, samples:]
        return squeeze(there[:, None, :samples] * self._temperature, self._n_height).contiguous()

"""Mel frames upsampled to samples, for all flows.

Letters: B batch, M mels, F frames.
"""

from __future__ import annotations

from torch import Tensor, nn

from namexp.architectures.waveflow import UPSAMPLE_KERNEL_MELS, UPSAMPLE_RATES
from namexp.models.hifigan.convolutions import Norm
from namexp.models.waveflow.convolutions import UpsamplingConv2d

SLOPE = 0.4  # of the leaky ReLUs


class Upsampling(nn.ModuleList):
    """Transposed convolutions over time and neighbouring mels, each with a leaky ReLU."""

    def __init__(self, *, norm: Norm) -> None:
        super().__init__()
        for rate in UPSAMPLE_RATES:
            convolution = UpsamplingConv2d(UPSAMPLE_KERNEL_MELS, rate, norm=norm)
            convolution.draw_normal(keep=False)  # as the official code, which does not use it
            self.extend([convolution, nn.LeakyReLU(SLOPE)])

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, F) to (B, M, 256 F)."""
        c = mel[:, None]
        for module in self:
            c = module(c)
        return c[:, 0]

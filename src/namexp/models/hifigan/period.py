"""Discriminators that look at every p-th sample.

Source: Kong et al. 2020, arXiv:2010.05646, section 2.3.
Letters: B batch, L samples, p period.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from namexp.architectures.hifigan import (
    PERIOD_CHANNELS,
    PERIOD_KERNEL,
    PERIOD_POST_KERNEL,
    PERIOD_STRIDE,
    PERIODS,
    thinned,
)
from namexp.models.hifigan.convolutions import ColumnConv2d, Norm
from namexp.models.hifigan.discriminator import Discriminator, Judgement


class DiscriminatorP(Discriminator):
    """Of one period: the audio is folded into rows of p samples, and only the columns are convolved."""

    def __init__(self, period: int, *, width: int = 1, normed: bool = True) -> None:
        """``width`` divides the channels."""
        norm: Norm = "weight" if normed else "none"
        channels = (1, *(thinned(c, width) for c in PERIOD_CHANNELS))
        strides = [PERIOD_STRIDE] * (len(PERIOD_CHANNELS) - 1) + [1]
        super().__init__(
            [
                ColumnConv2d(inputs, outputs, PERIOD_KERNEL, stride=stride, norm=norm)
                for (inputs, outputs), stride in zip(pairwise(channels), strides, strict=True)
            ],
            ColumnConv2d(channels[-1], 1, PERIOD_POST_KERNEL, norm=norm),
        )
        self.period = period

    def laid_out(self, audio: Tensor) -> Tensor:
        """(B, 1, L) to (B, 1, L / p, p), an incomplete row filled up by reflection."""
        missing = -audio.shape[-1] % self.period
        if missing:
            audio = F.pad(audio, (0, missing), mode="reflect")
        return audio.unflatten(-1, (-1, self.period))


class MultiPeriodDiscriminator(nn.Module):
    """One for each of the periods, which are prime so that they overlap as little as they can."""

    def __init__(self, *, width: int = 1, normed: bool = True) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            DiscriminatorP(period, width=width, normed=normed) for period in PERIODS
        )

    def forward(self, audio: Tensor) -> list[Judgement]:
        """Of (B, 1, L) by each."""
        return [discriminator(audio) for discriminator in self.discriminators]

    def heard(self, audio: Tensor, index: int) -> Tensor:
        """(B, 1, L) as sub-discriminator ``index`` gets it: unchanged."""
        return audio

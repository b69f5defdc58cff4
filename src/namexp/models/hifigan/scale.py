"""Discriminators that look at the audio as it is, and smoothed.

Source: Kong et al. 2020, arXiv:2010.05646, section 2.3; Kumar et al. 2019, arXiv:1910.06711 (MelGAN).
Letters: B batch, L samples.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from namexp.architectures.hifigan import (
    NUM_SCALES,
    SCALE_LAYERS,
    SCALE_POST_KERNEL,
    thinned,
    thinned_groups,
)
from namexp.models.hifigan.convolutions import Conv1d, Norm
from namexp.models.hifigan.discriminator import Discriminator, Judgement

POOL_KERNEL, POOL_STRIDE, POOL_PADDING = 4, 2, 2


class DiscriminatorS(Discriminator):
    """Of one scale: strided convolutions in groups."""

    def __init__(self, *, norm: Norm = "weight", width: int = 1) -> None:
        """``width`` divides the channels."""
        convs, inputs = [], 1
        for channels, kernel, stride, groups in SCALE_LAYERS:
            outputs = thinned(channels, width)
            fitting = thinned_groups(groups, inputs, outputs)
            convs.append(Conv1d(inputs, outputs, kernel, stride=stride, groups=fitting, norm=norm))
            inputs = outputs
        super().__init__(convs, Conv1d(inputs, 1, SCALE_POST_KERNEL, norm=norm))


class MultiScaleDiscriminator(nn.Module):
    """The first hears the audio at its full rate (spectral norm), each further one at half of the last."""

    def __init__(self, *, width: int = 1, normed: bool = True) -> None:
        super().__init__()
        first: Norm = "spectral" if normed else "none"
        further: Norm = "weight" if normed else "none"
        self.discriminators = nn.ModuleList(
            DiscriminatorS(norm=norm, width=width) for norm in (first, *[further] * (NUM_SCALES - 1))
        )

    def forward(self, audio: Tensor) -> list[Judgement]:
        """Of (B, 1, L) by each."""
        return [
            discriminator(self.heard(audio, index)) for index, discriminator in enumerate(self.discriminators)
        ]

    def heard(self, audio: Tensor, index: int) -> Tensor:
        """(B, 1, L) as sub-discriminator ``index`` gets it: halved so many times."""
        for _ in range(index):
            audio = F.avg_pool1d(audio, POOL_KERNEL, POOL_STRIDE, POOL_PADDING)
        return audio

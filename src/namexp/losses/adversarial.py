"""The losses of the adversaries, of one discriminator each. They are summed over discriminators.

Source: Kong et al. 2020, arXiv:2010.05646, Eq. (1), (2) and (4); Mao et al. 2017, arXiv:1611.04076 (LSGAN).
Letters: B batch, N scores of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Squared distance of the scores of real audio from 1 and of generated audio from 0: (B, N) each."""
    return mean((1 - real).square()) + mean(fake.square())


def generator_loss(fake: Tensor) -> Tensor:
    """Squared distance of the scores (B, N) of generated audio from 1."""
    return mean((1 - fake).square())


def feature_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Mean absolute difference of every map, summed over the maps and without a weight.

    Raises:
        ValueError: not as many maps, or maps of another shape.
    """
    shapes = [[tuple(features.shape) for features in maps] for maps in (real, fake)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"features need equal shapes, got real {shapes[0]} and fake {shapes[1]}.")
    return torch.stack([mean((r - f).abs()) for r, f in zip(real, fake, strict=True)]).sum()


def mean(x: Tensor) -> Tensor:
    """Of everything; 16-bit floats are summed and returned in float32."""
    return x.mean(dtype=torch.float32) if x.dtype in (torch.float16, torch.bfloat16) else x.mean()

"""Losses of a batch whose windows lie on several processes.

Every loss here is a function of sums over windows. Each process has its part of the sums; added up
they give the loss of the whole batch, which is that of ``waveform`` and ``spectral`` up to rounding.
Letters: B windows of one part, L samples, K sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from namexp.losses.waveform import check_shapes


class Parts(NamedTuple):
    """A loss as sums and what follows from them.

    Attributes:
        num_sums: K.
        sums: prediction and target (B, L) of one part to its (K,) sums.
        value: the (K,) sums of all parts together to the loss of the whole batch.
    """

    num_sums: int
    sums: Callable[[Tensor, Tensor], Tensor]
    value: Callable[[Tensor], Tensor]


def _mse_sums(prediction: Tensor, target: Tensor) -> Tensor:
    check_shapes(prediction, target)
    errors = torch.mean((prediction - target) ** 2, dim=-1)
    return torch.stack([errors.sum(), windows(errors)])


def _esr_sums(prediction: Tensor, target: Tensor) -> Tensor:
    check_shapes(prediction, target)
    energy = torch.mean(target**2, dim=-1)
    sounding = energy > 0
    error = torch.mean((prediction - target) ** 2, dim=-1)
    ratios = torch.where(sounding, error, 0.0) / torch.where(sounding, energy, 1.0)
    return torch.stack([ratios.sum(), sounding.sum().to(ratios)])


def _dc_sums(prediction: Tensor, target: Tensor) -> Tensor:
    check_shapes(prediction, target)
    offsets = (prediction.mean(dim=-1) - target.mean(dim=-1)) ** 2
    return torch.stack([offsets.sum(), windows(offsets)])


def windows(x: Tensor) -> Tensor:
    """B of (B, ...) as a scalar tensor: a sum like the others."""
    return x.new_full((), x.shape[0])


def _ratio(sums: Tensor) -> Tensor:
    return sums[0] / sums[1]


def _ratio_or_zero(sums: Tensor) -> Tensor:
    return sums[0] / sums[1].clamp(min=1)  # every window may be silent


MSE = Parts(2, _mse_sums, _ratio)
ESR = Parts(2, _esr_sums, _ratio_or_zero)
DC = Parts(2, _dc_sums, _ratio)


def root(x: Tensor) -> Tensor:
    """The square root; its gradient at 0 is 0, as that of torch's norms."""
    positive = x > 0
    # 0 is replaced before the root: 0 * inf would be NaN
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)

"""Losses of a batch whose windows lie on several processes.

Every loss here is a function of sums over windows. Each process has its part of the sums; added up
they give the loss of the whole batch, which is that of ``waveform`` and ``spectral`` up to rounding.
Letters: B windows of one part, S submodels, L samples, K sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from namexp.losses.waveform import check_submodels


class Parts(NamedTuple):
    """A loss of each submodel as sums and what follows from them.

    Attributes:
        num_sums: K.
        sums: prediction (B, S, L) and target (B, L) of one part to its (S, K) sums.
        value: the (S, K) sums of all parts together to the (S,) losses of the whole batch.
    """

    num_sums: int
    sums: Callable[[Tensor, Tensor], Tensor]
    value: Callable[[Tensor], Tensor]


def _mse_sums(prediction: Tensor, target: Tensor) -> Tensor:
    check_submodels(prediction, target)
    errors = torch.mean((prediction - target[:, None]) ** 2, dim=-1)
    return torch.stack([errors.sum(dim=0), windows(errors)], dim=-1)


def _esr_sums(prediction: Tensor, target: Tensor) -> Tensor:
    check_submodels(prediction, target)
    energy = torch.mean(target**2, dim=-1)[:, None]
    sounding = energy > 0
    error = torch.mean((prediction - target[:, None]) ** 2, dim=-1)
    ratios = torch.where(sounding, error, 0.0) / torch.where(sounding, energy, 1.0)
    return torch.stack([ratios.sum(dim=0), sounding.sum().expand(ratios.shape[1]).to(ratios)], dim=-1)


def _dc_sums(prediction: Tensor, target: Tensor) -> Tensor:
    check_submodels(prediction, target)
    offsets = (prediction.mean(dim=-1) - target.mean(dim=-1)[:, None]) ** 2
    return torch.stack([offsets.sum(dim=0), windows(offsets)], dim=-1)


def windows(x: Tensor) -> Tensor:
    """B of (B, S) for each of S: a sum like the others."""
    return x.new_full(x.shape[1:], x.shape[0])


def _ratio(sums: Tensor) -> Tensor:
    return sums[:, 0] / sums[:, 1]


def _ratio_or_zero(sums: Tensor) -> Tensor:
    return sums[:, 0] / sums[:, 1].clamp(min=1)  # every window may be silent


MSE = Parts(2, _mse_sums, _ratio)
ESR = Parts(2, _esr_sums, _ratio_or_zero)
DC = Parts(2, _dc_sums, _ratio)


def root(x: Tensor) -> Tensor:
    """The square root; its gradient at 0 is 0, as that of torch's norms."""
    positive = x > 0
    # 0 is replaced before the root: 0 * inf would be NaN
    return torch.where(positive, torch.where(positive, x, 1.0).sqrt(), 0.0)

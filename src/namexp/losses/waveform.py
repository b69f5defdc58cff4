"""Losses on samples. Letters: B batch, S submodels, L samples."""

from __future__ import annotations

import torch
from torch import Tensor


def check_shapes(prediction: Tensor, target: Tensor) -> None:
    """Both must be (B, L).

    Raises:
        ValueError: they are not, or differ.
    """
    if prediction.ndim != 2 or prediction.shape != target.shape:
        raise ValueError(
            f"a loss needs prediction and target of one shape (B, L), got {tuple(prediction.shape)} "
            f"and {tuple(target.shape)}; was the target cut by receptive_field - 1?"
        )


def check_submodels(prediction: Tensor, target: Tensor) -> None:
    """The prediction must be (B, S, L), the target (B, L).

    Raises:
        ValueError: they are not.
    """
    if prediction.ndim != 3 or prediction.shape[::2] != target.shape:
        raise ValueError(
            f"a loss of submodels needs a prediction (B, S, L) and a target (B, L), got "
            f"{tuple(prediction.shape)} and {tuple(target.shape)}; was the target cut by receptive_field - 1?"
        )


def pre_emphasis(x: Tensor, coefficient: float) -> Tensor:
    """x[t] - coefficient * x[t - 1]: (..., L) to (..., L - 1)."""
    return x[..., 1:] - coefficient * x[..., :-1]


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over all samples."""
    check_shapes(prediction, target)
    return torch.mean((prediction - target) ** 2)


def esr(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over the windows of error energy over target energy; silent windows are left out.

    Returns 0 (with a gradient of 0) where every window is silent.
    Source: Wright et al. 2020, doi:10.3390/app10030766, Eq. (10).
    """
    check_shapes(prediction, target)
    energy = torch.mean(target**2, dim=-1)
    sounding = energy > 0
    error = torch.mean((prediction - target) ** 2, dim=-1)
    # a silent window's energy is replaced before the division: 0 * inf would be NaN
    ratios = torch.where(sounding, error, 0.0) / torch.where(sounding, energy, 1.0)
    return ratios.sum() / sounding.sum().clamp(min=1)


def dc(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of the windows' means."""
    check_shapes(prediction, target)
    return torch.mean((prediction.mean(dim=-1) - target.mean(dim=-1)) ** 2)

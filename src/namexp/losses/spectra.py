"""The multi-resolution STFT loss with no more of torch's operations than it takes, for GPUs.

auraloss computes phases that nothing uses, transforms the target again for every submodel, and
transforms the zeros around a window: a magnitude does not depend on where in the frame they stand.
Letters: B batch, S submodels, L samples, F frames, N bins.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from auraloss.freq import STFTLoss
from torch import Tensor
from torch.nn.functional import pad


def multi_resolution(prediction: Tensor, target: Tensor, resolutions: Iterable[STFTLoss]) -> Tensor:
    """What auraloss gives for every submodel by itself, up to rounding.

    Args:
        prediction: (B, S, L), L more than half of every window.
        target: (B, L).
        resolutions: whose windows are brought to the device of the prediction, if need be.

    Returns:
        (S,): the mean over resolutions of spectral convergence and log magnitude distance.
    """
    losses = []
    for resolution in resolutions:
        resolution.window = resolution.window.to(prediction.device)
        x, y = magnitudes(prediction, resolution), magnitudes(target, resolution)[:, None]
        everything_of_one = (0, 2, 3)
        error = torch.linalg.vector_norm(y - x, dim=everything_of_one)
        convergence = error / torch.linalg.vector_norm(y, dim=everything_of_one)
        losses.append(convergence + (x.log() - y.log()).abs().mean(dim=everything_of_one))
    return torch.stack(losses).mean(dim=0)


def magnitudes(x: Tensor, resolution: STFTLoss) -> Tensor:
    """(..., L) signals to (..., F, N) magnitudes of their spectra, at least the root of epsilon."""
    window = resolution.window
    rows = x.reshape(-1, x.shape[-1])
    around = window.numel() // 2
    frames = pad(rows, (around, around), mode="reflect").unfold(-1, window.numel(), resolution.hop_size)
    spectra = torch.view_as_real(torch.fft.rfft(frames * window, n=resolution.fft_size))
    power = spectra.square().sum(dim=-1)
    return power.clamp(min=resolution.eps).sqrt().unflatten(0, x.shape[:-1])

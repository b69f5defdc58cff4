"""The multi-resolution STFT loss. Letters: B batch, S submodels, L samples, R resolutions, K sums."""

from __future__ import annotations

import torch
from auraloss.freq import MultiResolutionSTFTLoss
from torch import Tensor, nn

from namexp.kernels import mrstft
from namexp.losses.parts import Parts, root, windows
from namexp.losses.spectra import multi_resolution
from namexp.losses.waveform import check_shapes, check_submodels


class Mrstft(nn.Module):
    """Spectral convergence plus log magnitude distance, mean over three resolutions.

    The settings are auraloss's defaults, which the peer uses: FFT 1024, 2048, 512; hop 120, 240, 50;
    window 600, 1200, 240 (Hann). The convergence is one norm over the whole batch.
    float32 on the CPU goes through a kernel, other precisions there through auraloss, other devices
    through ``spectra``: equal up to rounding.
    Source: Yamamoto et al. 2020, arXiv:1910.11480, Eq. (5) to (7); Steinmetz and Reiss 2020, auraloss.
    """

    MIN_SAMPLES = 1025  # the reflection at the borders of the longest FFT needs more than half of it

    def __init__(self) -> None:
        super().__init__()
        self.loss = MultiResolutionSTFTLoss(
            fft_sizes=[1024, 2048, 512], hop_sizes=[120, 240, 50], win_lengths=[600, 1200, 240]
        )
        stfts = self.loss.stft_losses
        self.resolutions = tuple(mrstft.Resolution(s.fft_size, s.hop_size, s.win_length) for s in stfts)
        self._eps = stfts[0].eps

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Two (B, L) signals to a scalar.

        Raises:
            ValueError: the shapes differ, or L is shorter than the transform can take.
        """
        check_shapes(prediction, target)
        return self.of_submodels(prediction[:, None], target)[0]

    def of_submodels(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, S, L) against (B, L): the (S,) losses, the target's spectra taken once.

        Raises:
            ValueError: the shapes do not agree, or L is shorter than the transform can take.
        """
        self._check(prediction, target)
        sums = self._fast_sums(prediction, target)
        if sums is not None:
            return self._value(sums)
        if prediction.device.type != "cpu":
            return multi_resolution(prediction, target, self.loss.stft_losses)
        return torch.stack([self.loss(row[:, None], target[:, None]) for row in prediction.unbind(dim=1)])

    def _check(self, prediction: Tensor, target: Tensor) -> None:
        check_submodels(prediction, target)
        if prediction.shape[-1] < self.MIN_SAMPLES:
            raise ValueError(f"MRSTFT needs at least {self.MIN_SAMPLES} samples, got {prediction.shape[-1]}.")

    # --- the loss as sums: by the kernel, and of a batch in parts, whose norms are over all of them -----

    @property
    def parts(self) -> Parts:
        """The loss as sums over windows: R errors, R energies, the distance; and the number of windows."""
        return Parts(2 * len(self.resolutions) + 2, self._sums, self._value)

    def _sums(self, prediction: Tensor, target: Tensor) -> Tensor:
        self._check(prediction, target)
        fast = self._fast_sums(prediction, target)
        return self._torch_sums(prediction, target) if fast is None else fast

    def _fast_sums(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        sums = mrstft.sums_or_none(prediction, target, self.resolutions, self._eps)
        return None if sums is None else torch.cat([sums, windows(prediction[..., :1])], dim=-1)

    def _torch_sums(self, prediction: Tensor, target: Tensor) -> Tensor:
        errors, energies, distances = [], [], []
        for resolution in self.loss.stft_losses:
            resolution.window = resolution.window.to(prediction.device)
            y = resolution.stft(target)[0]
            for row in prediction.unbind(dim=1):
                x = resolution.stft(row)[0]
                errors.append(torch.sum((y - x) ** 2))
                energies.append(torch.sum(y**2))
                distances.append(torch.mean(torch.abs(torch.log(x) - torch.log(y)), dim=(-2, -1)).sum())
        of_resolutions = torch.stack([*errors, *energies, *distances]).view(3, -1, prediction.shape[1])
        error, energy, distance = (x.t() for x in of_resolutions)
        return torch.cat(
            [error, energy, distance.sum(dim=-1, keepdim=True), windows(prediction[..., :1])], dim=-1
        )

    def _value(self, sums: Tensor) -> Tensor:
        R = len(self.resolutions)
        error, energy, distance, count = sums.split([R, R, 1, 1], dim=-1)
        return torch.mean(root(error) / root(energy) + distance / (R * count), dim=-1)

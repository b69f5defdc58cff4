"""The multi-resolution STFT loss. Letters: B batch, L samples."""

from __future__ import annotations

import torch
from auraloss.freq import MultiResolutionSTFTLoss
from torch import Tensor, nn

from namexp.losses.parts import Parts, root, windows
from namexp.losses.spectra import multi_resolution
from namexp.losses.waveform import check_shapes


class Mrstft(nn.Module):
    """Spectral convergence plus log magnitude distance, mean over three resolutions.

    The settings are auraloss's defaults, which the peer uses: FFT 1024, 2048, 512; hop 120, 240, 50;
    window 600, 1200, 240 (Hann). The convergence is one norm over the whole batch.
    Source: Yamamoto et al. 2020, arXiv:1910.11480, Eq. (5) to (7); Steinmetz and Reiss 2020, auraloss.
    """

    MIN_SAMPLES = 1025  # the reflection at the borders of the longest FFT needs more than half of it

    def __init__(self) -> None:
        super().__init__()
        self.loss = MultiResolutionSTFTLoss(
            fft_sizes=[1024, 2048, 512], hop_sizes=[120, 240, 50], win_lengths=[600, 1200, 240]
        )

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Two (B, L) signals to a scalar.

        Raises:
            ValueError: the shapes differ, or L is shorter than the transform can take.
        """
        self._check(prediction, target)
        if prediction.device.type != "cpu":
            return multi_resolution(prediction[:, None], target, self.loss.stft_losses)[0]
        return self.loss(prediction[:, None], target[:, None])

    def _check(self, prediction: Tensor, target: Tensor) -> None:
        check_shapes(prediction, target)
        if prediction.shape[-1] < self.MIN_SAMPLES:
            raise ValueError(f"MRSTFT needs at least {self.MIN_SAMPLES} samples, got {prediction.shape[-1]}.")

    # --- the same for a batch in parts: the norms are over all of them ----------------------------

    @property
    def parts(self) -> Parts:
        """The loss as sums over windows: three for each resolution, and the number of windows."""
        return Parts(3 * len(self.loss.stft_losses) + 1, self._sums, self._value)

    def _sums(self, prediction: Tensor, target: Tensor) -> Tensor:
        self._check(prediction, target)
        sums = []
        for resolution in self.loss.stft_losses:
            resolution.window = resolution.window.to(prediction.device)
            x, y = resolution.stft(prediction)[0], resolution.stft(target)[0]
            distances = torch.mean(torch.abs(torch.log(x) - torch.log(y)), dim=(-2, -1))
            sums += [torch.sum((y - x) ** 2), torch.sum(y**2), distances.sum()]
        return torch.stack([*sums, windows(distances)])

    def _value(self, sums: Tensor) -> Tensor:
        error, energy, distance = sums[:-1].reshape(-1, 3).unbind(dim=1)
        return torch.mean(root(error) / root(energy) + distance / sums[-1])

"""Feature-wise linear modulation by the condition.

Letters: B batch, D condition size, C channels, L samples.
"""

from __future__ import annotations

from torch import Tensor, nn

from namexp.architectures.wavenet import FilmSpec


class Film(nn.Module):
    """``scale * x + shift``, both from a 1x1 convolution of the condition (scale first).

    Source: Perez et al. 2018, arXiv:1709.07871, Eq. (2).
    """

    def __init__(self, spec: FilmSpec, *, condition_size: int, channels: int) -> None:
        super().__init__()
        self.shift = spec.shift
        out = channels * (2 if spec.shift else 1)
        self.conv = nn.Conv1d(condition_size, out, 1, groups=spec.groups)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, C, L) and (B, D, at least L), aligned at the end, to (B, C, L)."""
        modulation = self.conv(condition[..., -x.shape[-1] :])
        if not self.shift:
            return modulation * x
        scale, shift = modulation.chunk(2, dim=1)
        return scale * x + shift

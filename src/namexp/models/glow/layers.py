"""Parts of a Glow: actnorm, the 1x1 convolution by its LU parts, convolutions, squeeze.

Source: Kingma and Dhariwal 2018, arXiv:1807.03039, table 1.
Letters: B batch, C channels, H, W height and width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FIRST_STD = 0.05  # of a convolution's first weights
SCALE_RATE = 3.0  # by which a zeroed convolution's scales learn faster
LEAST_STD = 1e-6


class ActNorm(nn.Module):
    """(x + bias) exp(logs), a pair of numbers for every channel.

    Attributes:
        pending: whether the next batch sets both, so that it comes out with mean 0 and variance 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.logs = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.pending = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        if self.pending:
            self._set(x)
        return (x + self.bias) * torch.exp(self.logs)

    @torch.no_grad()
    def _set(self, x: Tensor) -> None:
        mean = x.mean(dim=(0, 2, 3), keepdim=True)
        std = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True).sqrt()
        self.bias.copy_(-mean)
        self.logs.copy_(-torch.log(std + LEAST_STD))
        self.pending = False

    def inverse(self, y: Tensor) -> Tensor:
        """Back."""
        return y * torch.exp(-self.logs) - self.bias

    def log_determinant(self, positions: int) -> Tensor:
        """() the same for every item: of so many positions."""
        return self.logs.sum() * positions


class LuConvolution(nn.Module):
    """A 1x1 convolution whose weight is P L U: a rotation drawn at first, then whatever is learned.

    P and the signs of U's diagonal stay; what lies beyond the triangles of ``lower`` and ``upper`` counts as
    a parameter, as in the official code, and is never looked at.
    """

    permutation: Tensor
    signs: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        rotation = torch.linalg.qr(torch.randn(channels, channels, dtype=torch.float64)).Q
        permutation, lower, upper = torch.linalg.lu(rotation)
        diagonal = upper.diagonal()
        kept = torch.get_default_dtype()
        self.register_buffer("permutation", permutation.to(kept))
        self.register_buffer("signs", diagonal.sign().to(kept))
        self.lower = nn.Parameter(lower.to(kept))
        self.upper = nn.Parameter(upper.triu(1).to(kept))
        self.log_s = nn.Parameter(diagonal.abs().log().to(kept))

    def _triangles(self) -> tuple[Tensor, Tensor]:
        one = torch.eye(len(self.log_s), dtype=self.lower.dtype, device=self.lower.device)
        return self.lower.tril(-1) + one, self.upper.triu(1) + torch.diag(self.signs * torch.exp(self.log_s))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        with torch.autocast(x.device.type, enabled=False):
            lower, upper = self._triangles()
            return F.conv2d(x, (self.permutation @ lower @ upper)[..., None, None])

    def inverse(self, y: Tensor) -> Tensor:
        """Back; the weight is inverted in float64."""
        with torch.autocast(y.device.type, enabled=False):
            lower, upper = (part.double() for part in self._triangles())
            back = torch.linalg.solve_triangular(
                lower, self.permutation.double().T, upper=False, unitriangular=True
            )
            weight = torch.linalg.solve_triangular(upper, back, upper=True).to(y.dtype)
            return F.conv2d(y, weight[..., None, None])

    def log_determinant(self, positions: int) -> Tensor:
        """() the same for every item: of so many positions."""
        return self.log_s.sum() * positions


class NormedConvolution(nn.Module):
    """A convolution that keeps height and width, and an actnorm in place of its bias."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        nn.init.normal_(self.conv.weight, std=FIRST_STD)
        self.actnorm = ActNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to other channels."""
        normed: Tensor = self.actnorm(self.conv(x))
        return normed


class ZeroedConvolution(nn.Module):
    """A convolution that says zero at first: a coupling does nothing, a prior is the unit normal."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        nn.init.zeros_(self.conv.weight)
        assert self.conv.bias is not None, "it was asked for"
        nn.init.zeros_(self.conv.bias)
        self.logs = nn.Parameter(torch.zeros(outputs, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to other channels."""
        scaled: Tensor = self.conv(x) * torch.exp(self.logs * SCALE_RATE)
        return scaled


def squeeze(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, 4 C, H / 2, W / 2): squares of 2 x 2 become channels."""
    return F.pixel_unshuffle(x, 2)


def unsqueeze(x: Tensor) -> Tensor:
    """Back."""
    return F.pixel_shuffle(x, 2)


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    """The first half of the channels and the second one."""
    first, second = x.chunk(2, dim=1)
    return first, second


def interleaved(x: Tensor) -> tuple[Tensor, Tensor]:
    """Channels of even and of odd index."""
    return x[:, 0::2], x[:, 1::2]

"""One step of a Glow, and what estimates its coupling: sharing is who owns the parts.

Source: Kingma and Dhariwal 2018, arXiv:1807.03039; Lee et al. 2020, arXiv:2006.06280.
Letters: B batch, C channels, H, W height and width, E channels of an embedding, K convolutions, N hidden
channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from namexp.architectures.glow import GlowSpec, Level
from namexp.models.glow.layers import (
    ActNorm,
    LuConvolution,
    NormedConvolution,
    ZeroedConvolution,
    halves,
    interleaved,
)

OPEN = 2.0  # what is added to a scale before the sigmoid: couplings begin near the identity


class Trunk(nn.Module):
    """K convolutions, each gated where a step has gates, and rectified."""

    def __init__(self, inputs: int, hidden: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        widths = [inputs, *[hidden] * (len(kernels) - 1)]
        self.layers = nn.ModuleList(
            NormedConvolution(width, hidden, kernel) for width, kernel in zip(widths, kernels, strict=True)
        )

    def forward(self, x: Tensor, gates: Tensor | None = None) -> Tensor:
        """(B, C, H, W), and (K, N, 1, 1) factors, to (B, N, H, W)."""
        for i, layer in enumerate(self.layers):
            x = layer(x)
            x = F.relu(x if gates is None else x * gates[i])
        return x


class Parts(nn.Module):
    """What a level's steps share of an estimator, or what one step owns of it; None: the other has it."""

    trunk: Trunk | None
    projection: ZeroedConvolution | None

    def __init__(self, spec: GlowSpec, level: Level, *, shared: bool) -> None:
        super().__init__()
        hidden, inputs = spec.hidden_channels, level.channels // 2 + level.embedding
        self.trunk = Trunk(inputs, hidden, spec.kernels) if spec.shares_trunk == shared else None
        self.projection = (
            ZeroedConvolution(hidden, level.channels, spec.projection_kernel)
            if spec.shares_projection == shared
            else None
        )


class Gating(nn.Module):
    """What tells the steps that share a trunk apart: factors for its K convolutions, and an embedding."""

    def __init__(self, spec: GlowSpec, level: Level) -> None:
        super().__init__()
        self.log_gates = nn.Parameter(torch.zeros(len(spec.kernels), spec.hidden_channels, 1, 1))
        self.embedding = nn.Parameter(torch.randn(1, level.embedding, level.size, level.size))
        self.actnorm = ActNorm(level.embedding)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) to (B, C + E, H, W), and the factors."""
        embedding = self.actnorm(self.embedding).expand(len(x), -1, -1, -1)
        return torch.cat((x, embedding), dim=1), torch.exp(self.log_gates)


class Step(nn.Module):
    """Actnorm, 1x1 convolution, affine coupling. Log s and the rest of the flow keep their precision."""

    def __init__(self, spec: GlowSpec, level: Level) -> None:
        super().__init__()
        self.actnorm = ActNorm(level.channels)
        self.convolution = LuConvolution(level.channels)
        self.own = Parts(spec, level, shared=False)
        self.gating = Gating(spec, level) if spec.gated else None

    def forward(self, z: Tensor, shared: Parts) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) to the same, and (B,) the log-determinants.

        Args:
            z: what the step before made.
            shared: of the level.
        """
        positions = z.shape[2] * z.shape[3]
        z = self.convolution(self.actnorm(z))
        kept, moved = halves(z)
        shift, log_s = self._coupling(kept, shared)
        moved = (moved + shift) * torch.exp(log_s)
        same = self.actnorm.log_determinant(positions) + self.convolution.log_determinant(positions)
        return torch.cat((kept, moved), dim=1), same + log_s.sum(dim=(1, 2, 3))

    def inverse(self, z: Tensor, shared: Parts) -> Tensor:
        """Back."""
        kept, moved = halves(z)
        shift, log_s = self._coupling(kept, shared)
        z = torch.cat((kept, moved * torch.exp(-log_s) - shift), dim=1)
        return self.actnorm.inverse(self.convolution.inverse(z))

    def _coupling(self, kept: Tensor, shared: Parts) -> tuple[Tensor, Tensor]:
        """(B, C / 2, H, W) each: shift, and the logarithm of a scale below 1."""
        trunk, projection = self.own.trunk or shared.trunk, self.own.projection or shared.projection
        assert trunk is not None, "either owns it"
        assert projection is not None, "either owns it"
        x, gates = (kept, None) if self.gating is None else self.gating(kept)
        shift, scale = interleaved(projection(trunk(x, gates)).to(kept.dtype))
        return shift, F.logsigmoid(scale + OPEN)

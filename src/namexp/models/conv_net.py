"""A stack of kernel-2 dilated convolutions with batch norm.

Letters: B batch, C channels, L samples, R receptive field.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from namexp.architectures.played import ConvNetSpec
from namexp.models.network import Network
from namexp.models.wavenet.activations import build_activation


class FrozenBatchNorm(nn.Module):
    """(x - mean) * weight / sqrt(variance + eps) + bias, per channel, as a file stores it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(channels))
        self.variance = nn.Parameter(torch.ones(channels))
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = nn.Parameter(torch.tensor([1e-5]))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L)."""
        scale = self.weight / torch.sqrt(self.variance + self.eps)
        return x * scale[:, None] + (self.bias - scale * self.mean)[:, None]


class ConvNet(Network):
    """(B, L) to (B, 1, L - R + 1)."""

    def __init__(self, spec: ConvNetSpec) -> None:
        super().__init__()
        self._spec = spec
        C = spec.channels
        self.convs = nn.ModuleList(
            nn.Conv1d(1 if i == 0 else C, C, 2, dilation=d, bias=not spec.batchnorm, groups=spec.groups)
            for i, d in enumerate(spec.dilations)
        )
        self.norms = nn.ModuleList(
            FrozenBatchNorm(C) if spec.batchnorm else nn.Identity() for _ in spec.dilations
        )
        self.activations = nn.ModuleList(build_activation(spec.activation) for _ in spec.dilations)
        self.head = nn.Conv1d(C, 1, 1)

    @property
    def spec(self) -> ConvNetSpec:
        """Its description."""
        return self._spec

    def forward(self, x: Tensor) -> Tensor:
        """Every block in turn, then the head."""
        y = x[:, None]
        for conv, norm, activation in zip(self.convs, self.norms, self.activations, strict=True):
            y = activation(norm(conv(y)))
        return self.head(y)

    def file_tensors(self) -> list[Tensor]:
        """Its numbers in the order of a file."""
        tensors: list[Tensor] = []
        for conv, norm in zip(self.convs, self.norms, strict=True):
            tensors += list(conv.parameters())
            tensors += list(norm.parameters())
        return [*tensors, *self.head.parameters()]

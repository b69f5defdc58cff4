"""An impulse response: y[t] = b + sum over k of w[k] x[t - k].

The file's meaning is the C++ runtime's; the peer's own Python plays its exports reversed in time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from namexp.architectures.played import LinearSpec
from namexp.models.network import Network


class Linear(Network):
    """(B, L) to (B, 1, L - R + 1)."""

    def __init__(self, spec: LinearSpec) -> None:
        super().__init__()
        self._spec = spec
        self.impulse_response = nn.Parameter(torch.zeros(spec.receptive_field))
        self.bias = nn.Parameter(torch.zeros(1)) if spec.bias else None

    @property
    def spec(self) -> LinearSpec:
        """Its description."""
        return self._spec

    def forward(self, x: Tensor) -> Tensor:
        """Convolve: conv1d correlates, so the response is reversed."""
        kernel = self.impulse_response.flip(0)[None, None]
        return nn.functional.conv1d(x[:, None], kernel, self.bias)

    def file_tensors(self) -> list[Tensor]:
        """Its numbers in the order of a file."""
        return [self.impulse_response] if self.bias is None else [self.impulse_response, self.bias]

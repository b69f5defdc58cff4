"""The activations of the C++ runtime as torch modules."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from namexp.architectures.activation import ActivationSpec


class FastTanh(nn.Module):
    """The runtime's rational approximation of tanh.

    Source: ``fast_tanh`` in NAM/activations.h of NeuralAmpModelerCore.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, elementwise."""
        a = x.abs()
        x2 = x * x
        numerator = x * (
            2.45550750702956 + 2.45550750702956 * a + (0.893229853513558 + 0.821226666969744 * a) * x2
        )
        return numerator / (
            2.44506634652299 + (2.44506634652299 + x2) * (x + 0.814642734961073 * x * a).abs()
        )


class LeakyHardtanh(nn.Module):
    """Identity between the limits, with a slope of its own beyond each of them."""

    def __init__(self, *, min_val: float, max_val: float, min_slope: float, max_slope: float) -> None:
        super().__init__()
        self.min_val, self.max_val = min_val, max_val
        self.min_slope, self.max_slope = min_slope, max_slope

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, elementwise."""
        inside = x.clamp(self.min_val, self.max_val)
        below = self.min_slope * (x - self.min_val).clamp(max=0.0)
        above = self.max_slope * (x - self.max_val).clamp(min=0.0)
        return inside + below + above


class PReLU(nn.Module):
    """Leaky rectifier with learned slopes, one for all channels or one for each."""

    def __init__(self, slopes: tuple[float, ...]) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor(slopes))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L)."""
        return nn.functional.prelu(x, self.slopes)


def build_activation(spec: ActivationSpec) -> nn.Module:
    """The module that ``spec`` describes."""
    parameters = dict(spec.parameters)
    match spec.type:
        case "PReLU":
            return PReLU(spec.slopes)
        case "LeakyHardtanh":
            return LeakyHardtanh(**parameters)
        case "Fasttanh":
            return FastTanh()
        case "LeakyReLU":
            return nn.LeakyReLU(parameters["negative_slope"])
        case "Hardtanh":
            return nn.Hardtanh(parameters["min_val"], parameters["max_val"])
        case _:
            return getattr(nn, spec.type)()


def current_spec(spec: ActivationSpec, module: nn.Module) -> ActivationSpec:
    """``spec`` with the slopes that ``module`` has learned so far."""
    if isinstance(module, PReLU):
        return replace(spec, slopes=tuple(module.slopes.detach().double().tolist()))
    return spec

"""Convolutions whose weight is normalised, or plain, with the official names of their parameters.

The parameters of torch's own normalisations depend on the version; checkpoints of five years do not.
Letters: B batch, C channels, L positions.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["weight", "spectral", "none"]
SPECTRAL_EPSILON = 1e-12
NORMAL_STD = 0.01  # of the paper's initialisation


class Weights(NamedTuple):
    """What a convolution computes with.

    Attributes:
        weight: its norm applied.
        bias: (C,).
    """

    weight: Tensor
    bias: Tensor


class Convolution(nn.Module, ABC):
    """A weight, a bias and a norm; what is done with them is the subclass's.

    Parameters by norm: "weight": ``weight_g`` times the direction of ``weight_v``, along dimension 0;
    "spectral": ``weight_orig`` over its largest singular value, estimated by ``weight_u`` and
    ``weight_v``; "none": ``weight``. ``bias`` comes first, as in the official optimisers' states.
    They start as torch's convolutions do, from as many random numbers.
    """

    weight_u: Tensor
    weight_v: Tensor

    def __init__(self, shape: tuple[int, ...], num_outputs: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm
        weight = torch.empty(shape)
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.bias = nn.Parameter(torch.empty(num_outputs).uniform_(-bound, bound))
        if norm == "weight":
            self.weight_g = nn.Parameter(_gain(weight))
            self.weight_v = nn.Parameter(weight)
        elif norm == "spectral":
            self.weight_orig = nn.Parameter(weight)
            rows = weight.flatten(1)
            self.register_buffer("weight_u", _unit(torch.empty(rows.shape[0]).normal_()))
            self.register_buffer("weight_v", _unit(torch.empty(rows.shape[1]).normal_()))
        else:
            self.weight = nn.Parameter(weight)

    def effective(self) -> Weights:
        """The weights with their norm; in training, the spectral one takes a step of its estimate."""
        if self.norm == "weight":
            return Weights(torch._weight_norm(self.weight_v, self.weight_g, 0), self.bias)
        if self.norm == "spectral":
            u, v = self._singular_vectors()
            sigma = torch.dot(u, torch.mv(self.weight_orig.flatten(1), v))
            return Weights(self.weight_orig / sigma, self.bias)
        return Weights(self.weight, self.bias)

    @torch.no_grad()
    def _singular_vectors(self) -> tuple[Tensor, Tensor]:
        """The estimate as tensors that the next step leaves alone: a backward may still need them.

        v is updated first, then u, as torch's older spectral norm, which the official checkpoints come from.
        """
        if self.training:
            rows = self.weight_orig.flatten(1)
            self.weight_v.copy_(_unit(torch.mv(rows.t(), self.weight_u)))
            self.weight_u.copy_(_unit(torch.mv(rows, self.weight_v)))
        return self.weight_u.clone(), self.weight_v.clone()

    @torch.no_grad()
    def set_weight(self, weight: Tensor) -> None:
        """Compute with ``weight`` from now on; a spectral norm divides it by its estimate."""
        if self.norm == "weight":
            self.weight_v.copy_(weight)
            self.weight_g.copy_(_gain(self.weight_v))
        elif self.norm == "spectral":
            self.weight_orig.copy_(weight)
        else:
            self.weight.copy_(weight)

    @property
    def shape(self) -> torch.Size:
        """Of the weight."""
        if self.norm == "weight":
            return self.weight_v.shape
        return self.weight_orig.shape if self.norm == "spectral" else self.weight.shape

    def draw_normal(self, *, keep: bool) -> None:
        """Draw N(0, 0.01) for the weight; the official code draws it too, and then does not use it."""
        drawn = torch.empty(self.shape).normal_(0.0, NORMAL_STD)
        if keep:
            self.set_weight(drawn)

    def forward(self, x: Tensor, weights: Weights | None = None) -> Tensor:
        """(B, C, ...) to (B, C, ...), by ``weights`` if they are there already."""
        return self.convolve(x, *(self.effective() if weights is None else weights))

    @abstractmethod
    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The convolution by itself."""


class Conv1d(Convolution):
    """(B, C, L) to (B, C, L'), zeros around."""

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, *, stride: int = 1, dilation: int = 1,
        groups: int = 1, padding: int | None = None, norm: Norm = "weight",
    ) -> None:  # fmt: skip
        super().__init__((outputs, inputs // groups, kernel_size), outputs, norm)
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.padding = (kernel_size - 1) * dilation // 2 if padding is None else padding

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The convolution by itself."""
        return F.conv1d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class ConvTranspose1d(Convolution):
    """(B, C, L) to (B, C, L times the stride)."""

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, *, stride: int, norm: Norm = "weight"
    ) -> None:
        super().__init__((inputs, outputs, kernel_size), outputs, norm)
        self.stride, self.padding = stride, (kernel_size - stride) // 2

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The convolution by itself."""
        return F.conv_transpose1d(x, weight, bias, self.stride, self.padding)


class ColumnConv2d(Convolution):
    """(B, C, L, p) to (B, C, L', p): along the columns, each by itself."""

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, *, stride: int = 1, norm: Norm = "weight"
    ) -> None:
        super().__init__((outputs, inputs, kernel_size, 1), outputs, norm)
        self.stride, self.padding = (stride, 1), (kernel_size // 2, 0)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The convolution by itself."""
        return F.conv2d(x, weight, bias, self.stride, self.padding)


def _gain(weight: Tensor) -> Tensor:
    return torch.norm_except_dim(weight, 2, 0)


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, dim=0, eps=SPECTRAL_EPSILON)

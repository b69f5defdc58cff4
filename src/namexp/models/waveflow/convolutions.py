"""Convolutions of pictures, weight-normed or plain, with the official names of their parameters.

Letters: B batch, C channels, h rows, W columns, M mels, L positions.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from namexp.models.hifigan.convolutions import Convolution, Norm


class Conv2d(Convolution):
    """(B, C, h + what the kernel looks up, W) to (B, C', h, W): zeros beside the picture, none above it."""

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, *, dilation: tuple[int, int] = (1, 1),
        norm: Norm = "weight",
    ) -> None:  # fmt: skip
        super().__init__((outputs, inputs, kernel_size, kernel_size), outputs, norm)
        self.dilation, self.padding = dilation, (0, dilation[1] * (kernel_size - 1) // 2)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The convolution by itself."""
        return F.conv2d(x, weight, bias, padding=self.padding, dilation=self.dilation)


class UpsamplingConv2d(Convolution):
    """(B, 1, M, L) to (B, 1, M, L times the rate)."""

    def __init__(self, kernel_mels: int, rate: int, *, norm: Norm = "weight") -> None:
        super().__init__((1, 1, kernel_mels, 2 * rate), 1, norm)
        self.stride, self.padding = (1, rate), (kernel_mels // 2, rate // 2)

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """The convolution by itself."""
        return F.conv_transpose2d(x, weight, bias, self.stride, self.padding)

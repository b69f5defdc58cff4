"""The generator: mel spectrogram in, audio out.

Source: Kong et al. 2020, arXiv:2010.05646, section 2.1 and appendix A.
Letters: B batch, M mels, F frames, C channels, L positions, S stages, K blocks of a stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namexp.architectures.hifigan import OUTER_KERNEL, GeneratorSpec
from namexp.models.hifigan.convolutions import Conv1d, Convolution, ConvTranspose1d, Norm

SLOPE = 0.1  # of every leaky ReLU
LAST_SLOPE = 0.01  # but the one before the last convolution

Init = Literal["default", "normal"]


def _activated(x: Tensor) -> Tensor:
    """The leaky ReLU of ``x``, which stays: the sum with the residual needs it.

    In place on a copy, the backward gets by with what the convolution keeps anyway, and ``x`` is freed.
    """
    return F.leaky_relu_(x.clone(), SLOPE) if torch.is_grad_enabled() else F.leaky_relu(x, SLOPE)


class ResBlockV1(nn.Module):
    """Residual pairs of convolutions, one after the other: the first dilated, the second not."""

    def __init__(
        self, channels: int, kernel_size: int, dilations: Sequence[int], *, norm: Norm, init: Init
    ) -> None:
        super().__init__()
        self.convs1 = _drawn(
            [Conv1d(channels, channels, kernel_size, dilation=d, norm=norm) for d in dilations], init
        )
        self.convs2 = _drawn([Conv1d(channels, channels, kernel_size, norm=norm) for _ in dilations], init)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L) to (B, C, L)."""
        for first, second in zip(self.convs1, self.convs2, strict=True):
            inner = F.leaky_relu_(first(_activated(x)), SLOPE)
            x = second(inner).add_(x)
        return x


class ResBlockV2(nn.Module):
    """Residual dilated convolutions, one after the other."""

    def __init__(
        self, channels: int, kernel_size: int, dilations: Sequence[int], *, norm: Norm, init: Init
    ) -> None:
        super().__init__()
        self.convs = _drawn(
            [Conv1d(channels, channels, kernel_size, dilation=d, norm=norm) for d in dilations], init
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L) to (B, C, L)."""
        for conv in self.convs:
            x = conv(_activated(x)).add_(x)
        return x


class MultiReceptiveFieldFusion:
    """The mean of residual blocks side by side.

    It holds the blocks of one stage and does not own them: the official names count the blocks through
    all stages, so the generator does.
    """

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self.blocks = tuple(blocks)

    def __call__(self, x: Tensor) -> Tensor:
        """(B, C, L) to (B, C, L)."""
        total: Tensor = self.blocks[0](x)
        for block in self.blocks[1:]:
            total = total.add_(block(x))
        return total.div_(len(self.blocks))


class Generator(nn.Module):
    """Upsampling stages, each followed by a fusion of residual blocks."""

    def __init__(self, spec: GeneratorSpec, *, normed: bool = True, init: Init = "default") -> None:
        """With weight norm or plain.

        Args:
            spec: its numbers.
            normed: weight norm on every convolution.
            init: "default": torch's, which the official training starts from, because its own
                assignment has no effect; "normal": N(0, 0.01) where the paper has it.
        """
        super().__init__()
        self.spec = spec
        norm: Norm = "weight" if normed else "none"
        C = spec.channels
        # the order of construction is that of the official random numbers
        self.conv_pre = Conv1d(spec.n_mels, C[0], OUTER_KERNEL, norm=norm)
        self.ups = nn.ModuleList(
            ConvTranspose1d(C[i], C[i + 1], kernel, stride=rate, norm=norm)
            for i, (rate, kernel) in enumerate(
                zip(spec.upsample_rates, spec.upsample_kernel_sizes, strict=True)
            )
        )
        block = ResBlockV1 if spec.resblock == "1" else ResBlockV2
        self.resblocks = nn.ModuleList(
            block(channels, kernel, dilations, norm=norm, init=init)
            for channels in C[1:]
            for kernel, dilations in zip(
                spec.resblock_kernel_sizes, spec.resblock_dilation_sizes, strict=True
            )
        )
        self.conv_post = Conv1d(C[-1], 1, OUTER_KERNEL, norm=norm)
        _drawn(self.ups, init)
        _drawn([self.conv_post], init)
        K = len(spec.resblock_kernel_sizes)
        blocks = list(self.resblocks)
        self.fusions = tuple(
            MultiReceptiveFieldFusion(blocks[i * K : (i + 1) * K]) for i in range(len(self.ups))
        )

    @property
    def normed(self) -> bool:
        """Whether the weights are normalised."""
        return self.conv_pre.norm != "none"

    def forward(self, mel: Tensor) -> Tensor:
        """(B, M, F) log mels to (B, 1, F times the hop), in -1 ... 1."""
        # In place wherever no backward needs what was there: convolutions keep their input, leaky ReLUs
        # their output.
        x = self.conv_pre(mel)
        for up, fusion in zip(self.ups, self.fusions, strict=True):
            x = fusion(up(F.leaky_relu_(x, SLOPE)))
        return self.conv_post(F.leaky_relu_(x, LAST_SLOPE)).tanh_()

    @torch.no_grad()
    def fused(self) -> Generator:
        """A plain copy that plays the same; no random number is drawn for it."""
        with torch.device("meta"):
            plain = Generator(self.spec, normed=False)
        state = {}
        for name, module in self.named_modules():
            if isinstance(module, Convolution):
                weight, bias = module.effective()
                state[f"{name}.weight"], state[f"{name}.bias"] = weight.clone(), bias.clone()
        plain.load_state_dict(state, assign=True)
        return plain.train(self.training)


def _drawn(convolutions: Sequence[Convolution] | nn.ModuleList, init: Init) -> nn.ModuleList:
    """Given the paper's initial weights, or as they are: either way as many numbers are drawn."""
    for convolution in convolutions:
        assert isinstance(convolution, Convolution)
        convolution.draw_normal(keep=init == "normal")
    return convolutions if isinstance(convolutions, nn.ModuleList) else nn.ModuleList(convolutions)

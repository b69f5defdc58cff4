"""HiFi-GAN in numbers: the generator, and how wide its discriminators are.

Source: Kong et al. 2020, arXiv:2010.05646, and the official configurations.
Letters: S stages, K kernels of the residual blocks, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from namexp.errors import UserError

OUTER_KERNEL = 7  # of the first and the last convolution
PERIODS = (2, 3, 5, 7, 11)
PERIOD_CHANNELS = (32, 128, 512, 1024, 1024)
PERIOD_KERNEL, PERIOD_STRIDE, PERIOD_POST_KERNEL = 5, 3, 3
NUM_SCALES = 3
# channels, kernel, stride, groups of each convolution of a scale's discriminator
SCALE_LAYERS = (
    (128, 15, 1, 1), (128, 41, 2, 4), (256, 41, 2, 16), (512, 41, 4, 16), (1024, 41, 4, 16), (1024, 41, 1,
    16), (1024, 5, 1, 1),
)  # fmt: skip
SCALE_POST_KERNEL = 3


@dataclass(frozen=True)
class GeneratorSpec:
    """From (n_mels, F) to (1, F times the product of the rates).

    Attributes:
        n_mels: bins of a frame.
        upsample_rates: of the S stages.
        upsample_kernel_sizes: of their transposed convolutions; kernel - rate is even.
        upsample_initial_channel: C of the first convolution, halved by every stage.
        resblock: "1": pairs of convolutions (V1, V2); "2": single ones (V3).
        resblock_kernel_sizes: K of them stand side by side in every stage.
        resblock_dilation_sizes: of each, one after the other.
    """

    n_mels: int
    upsample_rates: tuple[int, ...]
    upsample_kernel_sizes: tuple[int, ...]
    upsample_initial_channel: int
    resblock: Literal["1", "2"]
    resblock_kernel_sizes: tuple[int, ...]
    resblock_dilation_sizes: tuple[tuple[int, ...], ...]

    @property
    def hop_length(self) -> int:
        """Samples that come out for one frame."""
        return prod(self.upsample_rates)

    @property
    def channels(self) -> tuple[int, ...]:
        """C before the first stage and after every stage: S + 1 numbers."""
        return tuple(self.upsample_initial_channel >> i for i in range(len(self.upsample_rates) + 1))

    @property
    def convolutions_per_dilation(self) -> int:
        """2 in pairs, the second undilated; else 1."""
        return 2 if self.resblock == "1" else 1

    def _convolutions(self) -> list[tuple[int, int, int, int]]:
        """(in, out, kernel, positions per frame at which it is computed) of every plain convolution."""
        found = [(self.n_mels, self.channels[0], OUTER_KERNEL, 1)]
        positions = 1
        for i, rate in enumerate(self.upsample_rates):
            positions *= rate
            C = self.channels[i + 1]
            for kernel, dilations in zip(
                self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=True
            ):
                found += [(C, C, kernel, positions)] * (self.convolutions_per_dilation * len(dilations))
        return [*found, (self.channels[-1], 1, OUTER_KERNEL, positions)]

    def _upsamplers(self) -> list[tuple[int, int, int, int]]:
        """(in, out, kernel, input positions per frame) of every transposed convolution."""
        found, positions = [], 1
        for i, (rate, kernel) in enumerate(zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True)):
            found.append((self.channels[i], self.channels[i + 1], kernel, positions))
            positions *= rate
        return found

    @property
    def num_parameters(self) -> int:
        """That play: weights fused."""
        return sum(i * o * k + o for i, o, k, _ in (*self._convolutions(), *self._upsamplers()))

    @property
    def num_parameters_training(self) -> int:
        """With weight normalisation: a gain for every output channel, of an upsampler for every input."""
        gains = sum(o for _, o, _, _ in self._convolutions()) + sum(i for i, _, _, _ in self._upsamplers())
        return self.num_parameters + gains

    @property
    def macs_per_frame(self) -> int:
        """Multiply-accumulates for one frame."""
        return sum(
            i * o * k * positions for i, o, k, positions in (*self._convolutions(), *self._upsamplers())
        )

    @property
    def macs_per_sample(self) -> int:
        """Multiply-accumulates for one sample that comes out, rounded."""
        return round(self.macs_per_frame / self.hop_length)

    @property
    def context_frames(self) -> int:
        """Frames on either side that a frame's samples depend on."""
        first, last = 0, self.hop_length - 1  # samples of frame 0, followed back to the frames they come from
        first, last = _widened(first, last, OUTER_KERNEL // 2)
        reach = self._block_reach()
        for rate, kernel in reversed(list(zip(self.upsample_rates, self.upsample_kernel_sizes, strict=True))):
            first, last = _widened(first, last, reach)
            padding = (kernel - rate) // 2
            first, last = -((kernel - 1 - padding - first) // rate), (last + padding) // rate
        first, last = _widened(first, last, OUTER_KERNEL // 2)
        return max(-first, last)

    def _block_reach(self) -> int:
        """Positions on either side that the widest residual block looks at."""
        second = 1 if self.resblock == "1" else 0
        return max(
            sum((kernel - 1) // 2 * (dilation + second) for dilation in dilations)
            for kernel, dilations in zip(
                self.resblock_kernel_sizes, self.resblock_dilation_sizes, strict=True
            )
        )

    def to_plain(self) -> dict[str, Any]:
        """As plain values, by the official names."""
        return {
            "resblock": self.resblock,
            "upsample_rates": list(self.upsample_rates),
            "upsample_kernel_sizes": list(self.upsample_kernel_sizes),
            "upsample_initial_channel": self.upsample_initial_channel,
            "resblock_kernel_sizes": list(self.resblock_kernel_sizes),
            "resblock_dilation_sizes": [list(dilations) for dilations in self.resblock_dilation_sizes],
        }


def _widened(first: int, last: int, by: int) -> tuple[int, int]:
    return first - by, last + by


def check_generator(spec: GeneratorSpec, place: str) -> None:
    """Agreement between the numbers of a generator.

    Raises:
        UserError: the first that does not fit, at ``place``.
    """
    pairs = (
        ("upsample_kernel_sizes", spec.upsample_kernel_sizes, "upsample_rates", spec.upsample_rates),
        (
            "resblock_dilation_sizes",
            spec.resblock_dilation_sizes,
            "resblock_kernel_sizes",
            spec.resblock_kernel_sizes,
        ),
    )
    for name, found, other, expected in pairs:
        if len(found) != len(expected):
            raise UserError(
                f"{place}.{name} (= {_listed(found)}) must have as many entries as {place}.{other} "
                f"(= {_listed(expected)}): {len(expected)}."
            )
    for rate, kernel in zip(spec.upsample_rates, spec.upsample_kernel_sizes, strict=True):
        if kernel < rate or (kernel - rate) % 2:
            raise UserError(
                f"{place}.upsample_kernel_sizes (= {_listed(spec.upsample_kernel_sizes)}): {kernel} must be "
                "at "
                f"least its rate {rate} and differ from it by an even number, such as {2 * rate}."
            )
    for kernel in spec.resblock_kernel_sizes:
        if kernel % 2 == 0:
            raise UserError(
                f"{place}.resblock_kernel_sizes (= {_listed(spec.resblock_kernel_sizes)}): {kernel} must be "
                "odd."
            )
    least = 1 << len(spec.upsample_rates)
    if spec.upsample_initial_channel % least:
        raise UserError(
            f"{place}.upsample_initial_channel (= {spec.upsample_initial_channel}) is halved by each of the "
            f"{len(spec.upsample_rates)} stages and must be a multiple of {least}."
        )


def _listed(values: Sequence[Any]) -> str:
    return "[" + ",".join(str(list(v)) if isinstance(v, tuple) else str(v) for v in values) + "]"


def thinned(channels: int, width: int) -> int:
    """Channels of a discriminator's layer whose width is divided."""
    return max(1, channels // width)


def thinned_groups(groups: int, *channels: int) -> int:
    """Groups halved until they divide all of ``channels``."""
    while groups > 1 and any(c % groups for c in channels):
        groups //= 2
    return groups

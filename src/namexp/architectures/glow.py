"""Glow, and NanoFlow on images, in numbers: shapes and parameters.

Source: Kingma and Dhariwal 2018, arXiv:1807.03039; Lee et al. 2020, arXiv:2006.06280.
Letters: C channels of a level, S its height and width.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

from namexp.errors import UserError

IMAGE_CHANNELS = 3
LEVELS_OF_GREY = 256  # of an image of 8 bit
SHALLOW_KERNELS, DEEP_KERNELS = (3, 1), (3,) * 6  # of an estimator's convolutions, before its projection
PRIOR_KERNEL = 3

Estimator = Literal["shallow", "deep", "naive", "decomp", "nanoflow"]
ESTIMATORS: tuple[Estimator, ...] = ("shallow", "deep", "naive", "decomp", "nanoflow")


class Level(NamedTuple):
    """Where the steps of one level work: C channels, S x S positions, and the channels of an embedding."""

    channels: int
    size: int
    embedding: int


@dataclass(frozen=True)
class GlowSpec:
    """From (3, S, S) images to noise and back.

    Attributes:
        image_size: height and width.
        levels: each begins with a squeeze; all but the last end with a split.
        steps: of every level: actnorm, 1x1 convolution, affine coupling.
        hidden_channels: of the estimators.
        estimator: what a coupling is computed by. ``shallow``, ``deep``: every step owns one, of 3 or of 7
            convolutions. The others share a deep one in each level: ``naive`` all of it; ``decomp``: every
            step owns its projection; ``nanoflow``: also gates and an embedding.
        embedding_channels: of the first level, doubled in every further one; 0 unless ``nanoflow``.
    """

    image_size: int
    levels: int
    steps: int
    hidden_channels: int
    estimator: Estimator
    embedding_channels: int

    @property
    def kernels(self) -> tuple[int, ...]:
        """Of the convolutions before the projection."""
        return SHALLOW_KERNELS if self.estimator == "shallow" else DEEP_KERNELS

    @property
    def projection_kernel(self) -> int:
        """Of an estimator's last convolution."""
        return 3 if self.estimator == "shallow" else 1

    @property
    def shares_trunk(self) -> bool:
        """Whether the steps of a level share all convolutions but the projection."""
        return self.estimator in ("naive", "decomp", "nanoflow")

    @property
    def shares_projection(self) -> bool:
        """Whether they share that too."""
        return self.estimator == "naive"

    @property
    def gated(self) -> bool:
        """Whether every step has gates and an embedding."""
        return self.estimator == "nanoflow"

    @property
    def shapes(self) -> tuple[Level, ...]:
        """Of every level, after its squeeze."""
        found, channels, size = list[Level](), IMAGE_CHANNELS, self.image_size
        for i in range(self.levels):
            channels, size = channels * 4, size // 2
            found.append(Level(channels, size, self.embedding_channels << i))
            channels //= 2
        return tuple(found)

    @property
    def num_dimensions(self) -> int:
        """Numbers of an image."""
        return IMAGE_CHANNELS * self.image_size**2

    @property
    def num_parameters(self) -> int:
        """All that learn; the triangular matrices count whole, as they are stored."""
        levels = sum(self._level_parameters(level) for level in self.shapes)
        priors = sum(_zeroed(level.channels // 2, level.channels, PRIOR_KERNEL) for level in self.shapes[:-1])
        top = 2 * self.shapes[-1].channels
        return levels + priors + _zeroed(top, top, PRIOR_KERNEL)

    def _level_parameters(self, level: Level) -> int:
        C = level.channels
        trunk, projection = self._trunk_parameters(level), self._projection_parameters(level)
        own = 2 * C + 2 * C * C + C  # actnorm, and the three parts of the 1x1 convolution
        own += (0 if self.shares_trunk else trunk) + (0 if self.shares_projection else projection)
        if self.gated:
            own += len(self.kernels) * self.hidden_channels + level.embedding * (level.size**2 + 2)
        shared = (trunk if self.shares_trunk else 0) + (projection if self.shares_projection else 0)
        return self.steps * own + shared

    def _trunk_parameters(self, level: Level) -> int:
        widths = [level.channels // 2 + level.embedding] + [self.hidden_channels] * len(self.kernels)
        return sum(
            i * o * k * k + 2 * o for i, o, k in zip(widths[:-1], widths[1:], self.kernels, strict=True)
        )

    def _projection_parameters(self, level: Level) -> int:
        return _zeroed(self.hidden_channels, level.channels, self.projection_kernel)

    @property
    def macs_per_image(self) -> int:
        """Multiply-accumulates of the convolutions, from image to noise or back."""
        found = 0
        for level in self.shapes:
            weights = self._trunk_parameters(level) + self._projection_parameters(level)
            others = 2 * self.hidden_channels * len(self.kernels) + 2 * level.channels
            found += self.steps * level.size**2 * (weights - others + level.channels**2)
        for level in self.shapes[:-1]:
            found += level.size**2 * level.channels**2 // 2 * PRIOR_KERNEL**2
        return found

    def to_plain(self) -> dict[str, Any]:
        """As plain values, by the names of the group ``model``."""
        return asdict(self)


def _zeroed(inputs: int, outputs: int, kernel: int) -> int:
    """Of a convolution that begins at zero: weights, biases and scales."""
    return inputs * outputs * kernel * kernel + 2 * outputs


def check_glow(spec: GlowSpec, place: str) -> None:
    """Agreement between the numbers.

    Raises:
        UserError: the first that does not fit, at ``place``.
    """
    least = 1 << spec.levels
    if spec.image_size % least:
        near = max(1, round(spec.image_size / least)) * least
        raise UserError(
            f"{place}.image_size (= {spec.image_size}) is halved by each of the {spec.levels} levels and "
            f"must be a multiple of {least}, such as {near}."
        )
    if spec.gated != (spec.embedding_channels > 0):
        raise UserError(
            f"{place}.embedding_channels (= {spec.embedding_channels}) must be "
            f"{'at least 1' if spec.gated else '0'} for {place}.estimator {spec.estimator}."
        )

"""What a density is trained and scored with: images moved, mirrored and dequantised.

What an image becomes follows from the seed, how often it was seen before, and its place in the set: the same
for any number of workers and processes, and for a training that goes on.
Letters: B batch, N images, S height and width.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from namexp.architectures.glow import LEVELS_OF_GREY
from namexp.data.procedural_images import Pixels
from namexp.data.segments import Draw

TRAIN, VALIDATION = 0, 1  # part their random numbers

Values = NDArray[np.float64]


class DrawnImages(Dataset[Tensor]):
    """An image for every draw, moved by whole pixels, perhaps mirrored, dequantised."""

    def __init__(self, images: Pixels, *, shift: float, flip: bool, seed: int) -> None:
        """Vary (N, 3, S, S) images.

        Args:
            images: 8 bit.
            shift: at most so much of the width, in either direction; what is uncovered is black.
            flip: whether every other one is mirrored.
            seed: of all that is drawn.
        """
        self._images, self._flip, self._seed = images, flip, seed
        self._reach = round(shift * images.shape[-1])

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, draw: Draw) -> Tensor:
        """(3, S, S) float64 in [-0.5, 0.5)."""
        random = np.random.default_rng([self._seed, TRAIN, draw.turn, draw.clip])
        image = self._images[draw.clip]
        if self._reach:
            down, across = random.integers(-self._reach, self._reach + 1, 2)
            image = moved(image, int(down), int(across))
        if self._flip and random.integers(2):
            image = image[..., ::-1]
        return torch.from_numpy(dequantised(image, random))


class WholeImages(Dataset[Tensor]):
    """Every image as it is, dequantised always by the same numbers."""

    def __init__(self, images: Pixels, *, seed: int) -> None:
        self._images, self._seed = images, seed

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        """(3, S, S) float64 in [-0.5, 0.5)."""
        random = np.random.default_rng([self._seed, VALIDATION, index])
        return torch.from_numpy(dequantised(self._images[index], random))


def moved(image: Pixels, down: int, across: int) -> Pixels:
    """(3, S, S) by whole pixels; what is uncovered is black."""
    size = image.shape[-1]
    found = np.zeros_like(image)
    to_y, from_y = _overlap(down, size)
    to_x, from_x = _overlap(across, size)
    found[:, to_y, to_x] = image[:, from_y, from_x]
    return found


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    return slice(max(0, by), size + min(0, by)), slice(max(0, -by), size + min(0, -by))


def dequantised(image: Pixels, random: np.random.Generator) -> Values:
    """8 bit to [-0.5, 0.5): each level of grey is a cell of 1/256, and a place in it is drawn."""
    found: Values = (image + random.uniform(size=image.shape)) / LEVELS_OF_GREY - 0.5
    return found


def quantised(values: Tensor) -> Pixels:
    """Back to 8 bit: the cells that values lie in; what is not a number is black."""
    cells = torch.nan_to_num((values + 0.5) * LEVELS_OF_GREY).floor().clamp(0, LEVELS_OF_GREY - 1)
    found: Pixels = cells.to(torch.uint8).cpu().numpy()
    return found


def together(items: Sequence[Tensor]) -> Tensor:
    """(B, 3, S, S) float64."""
    return torch.stack(list(items))

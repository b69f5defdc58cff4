"""A small set of images that namexp draws itself: 32 x 32 pixels, three colours, 8 bit.

Each is a shaded background with waves, two or three filled discs or rectangles, and a little noise: edges,
smooth parts and texture, which a density has something to learn from. They are no photographs, and bits per
dimension of them say nothing of those of photographs.
Letters: N images, S height and width.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SIZE = 32
TRAIN, VALIDATION = 2048, 256
SEED = 20200706
NOISE = 2.0  # standard deviation, in levels of grey
SHAPES = 3

Pixels = NDArray[np.uint8]


class ImageSet(NamedTuple):
    """(N, 3, S, S) each."""

    train: Pixels
    validation: Pixels


def embedded_images() -> ImageSet:
    """Always the same: 2048 to train on, 256 to validate."""
    random = np.random.default_rng(SEED)
    drawn = draw_images(random, TRAIN + VALIDATION)
    return ImageSet(drawn[:TRAIN], drawn[TRAIN:])


def draw_images(random: np.random.Generator, count: int) -> Pixels:
    """(count, 3, 32, 32)."""
    y, x = np.meshgrid(*[np.linspace(-1.0, 1.0, SIZE)] * 2, indexing="ij")
    images = _backgrounds(random, count, x, y)
    for i in range(SHAPES):
        inside = _shapes(random, count, x, y)
        if i == SHAPES - 1:  # some have one less
            inside &= (random.uniform(size=count) < 0.5)[:, None, None]
        colours = random.uniform(0.0, 255.0, (count, 3, 1, 1))
        images = np.where(inside[:, None], colours, images)
    images += random.normal(0.0, NOISE, images.shape)
    found: Pixels = np.clip(np.rint(images), 0.0, 255.0).astype(np.uint8)
    return found


def _backgrounds(
    random: np.random.Generator, count: int, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """A plane in every colour, and one wave for all three."""
    level, across, down = random.uniform((60.0, -60.0, -60.0), (195.0, 60.0, 60.0), (count, 3, 3)).T
    planes = level.T[..., None, None] + across.T[..., None, None] * x + down.T[..., None, None] * y
    height, frequency, angle, phase = random.uniform(
        (0.0, 2.0, 0.0, 0.0), (25.0, 10.0, np.pi, 2 * np.pi), (count, 4)
    ).T[..., None, None]
    waves = height * np.sin(frequency * (np.cos(angle) * x + np.sin(angle) * y) + phase)
    shaded: NDArray[np.float64] = planes + waves[:, None]
    return shaded


def _shapes(
    random: np.random.Generator, count: int, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """(count, S, S) the inside of a disc or of a rectangle."""
    at_x, at_y, width, height = random.uniform((-0.8, -0.8, 0.15, 0.15), (0.8, 0.8, 0.6, 0.6), (count, 4)).T[
        ..., None, None
    ]
    disc = ((x - at_x) / width) ** 2 + ((y - at_y) / width) ** 2 < 1.0
    rectangle = (np.abs(x - at_x) < width) & (np.abs(y - at_y) < height)
    round_ones = (random.uniform(size=count) < 0.5)[:, None, None]
    inside: NDArray[np.bool_] = np.where(round_ones, disc, rectangle)
    return inside

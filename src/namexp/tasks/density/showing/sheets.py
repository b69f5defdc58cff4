"""Sheets of images: samples at three temperatures, reconstructions, and ways from one image to another.

Letters: N images, S height and width.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from matplotlib.image import imsave
from torch import Tensor

from namexp.architectures.glow import LEVELS_OF_GREY
from namexp.atomic import write_atomically
from namexp.data.procedural_images import Pixels
from namexp.models.glow import Glow
from namexp.schema.callbacks import CallbacksConfig
from namexp.tasks.density.data.items import quantised
from namexp.tasks.density.data.module import ImageDataModule

TEMPERATURES = (0.6, 0.8, 1.0)
SAMPLES, SAMPLE_COLUMNS = 32, 8
RECONSTRUCTED = 8
WAYS, WAY_COLUMNS = 4, 8  # from one image to another
ENLARGED, GAP = 3, 2  # pixels of the sheet for one of an image, and between images
BACKGROUND = 255


class Sheet(NamedTuple):
    """Some images, row by row.

    Attributes:
        stem: of its file's name.
        name: for people.
        why: what it shows, in a few words.
        images: (N, 3, S, S) 8 bit.
        columns: of them.
        figures: what is known of it in numbers.
    """

    stem: str
    name: str
    why: str
    images: Pixels
    columns: int
    figures: Mapping[str, float]

    @property
    def file(self) -> str:
        """Inside the run directory."""
        return f"pictures/{self.stem}.png"


@torch.no_grad()
def draw_sheets(network: Glow, data: ImageDataModule, *, seed: int) -> list[Sheet]:
    """All that is shown of a density; samples at every temperature begin with the same noise."""
    like = next(network.parameters())
    images = data.validation_images(max(RECONSTRUCTED, 2 * WAYS)).to(like)
    samples = [_samples(network, temperature, seed) for temperature in TEMPERATURES]
    return [*samples, _reconstructions(network, images[:RECONSTRUCTED]), *_ways(network, images)]


def _samples(network: Glow, temperature: float, seed: int) -> Sheet:
    generator = torch.Generator().manual_seed(seed)
    drawn = network.sample(SAMPLES, temperature=temperature, generator=generator)
    return Sheet(
        f"samples_{round(100 * temperature):03d}",
        f"Samples, temperature {temperature:g}",
        "the same noise at every temperature",
        quantised(drawn),
        SAMPLE_COLUMNS,
        {"temperature": temperature},
    )


def _reconstructions(network: Glow, images: Tensor) -> Sheet:
    """Images above what their noise gives back."""
    back = network.inverse(network(images).noise)
    error = float((back - images).abs().max()) * LEVELS_OF_GREY
    return Sheet(
        "reconstructions",
        "Reconstructions",
        "validation images, and below each what its noise gives back",
        np.concatenate([quantised(images), quantised(back)]),
        len(images),
        {"largest_error_in_grey_levels": error},
    )


def _ways(network: Glow, images: Tensor) -> list[Sheet]:
    """From one image to another by equal steps of their noise; nothing of a single image."""
    ways = min(WAYS, len(images) // 2)
    if ways == 0:
        return []
    noise = network(images[: 2 * ways]).noise
    weights = torch.linspace(0.0, 1.0, WAY_COLUMNS).to(images)[None, :, None, None, None]
    between = [
        ((1 - weights) * part[0::2, None] + weights * part[1::2, None]).flatten(0, 1) for part in noise
    ]
    return [
        Sheet(
            "interpolation",
            "Interpolation",
            "between two validation images, by equal steps of their noise",
            quantised(network.inverse(between)),
            WAY_COLUMNS,
            {},
        )
    ]


def declared_sheets(sheets: list[Sheet], wanted: CallbacksConfig) -> list[Mapping[str, Any]]:
    """Their entries in summary.json, before the files are there."""
    if not wanted.plots:
        return []
    return [
        {"name": sheet.name, "why": sheet.why, "picture": sheet.file, **sheet.figures} for sheet in sheets
    ]


def write_sheet(root: Path, sheet: Sheet) -> Path:
    """Draw the PNG; its path."""
    path = root / sheet.file
    write_png(path, laid_out(sheet.images, sheet.columns))
    return path


def write_png(path: Path, pixels: Pixels) -> None:
    """(height, width, 3)."""
    write_atomically(path, lambda temporary: imsave(temporary, np.ascontiguousarray(pixels), format="png"))


def laid_out(images: Pixels, columns: int) -> Pixels:
    """(N, 3, S, S) to (height, width, 3), enlarged, row by row."""
    count, _, size, _ = images.shape
    rows = -(-count // columns)
    cell = size * ENLARGED + GAP
    found = np.full((rows * cell + GAP, columns * cell + GAP, 3), BACKGROUND, dtype=np.uint8)
    for i, image in enumerate(images):
        top, left = (i // columns) * cell + GAP, (i % columns) * cell + GAP
        large = image.transpose(1, 2, 0).repeat(ENLARGED, axis=0).repeat(ENLARGED, axis=1)
        found[top : top + size * ENLARGED, left : left + size * ENLARGED] = large
    return found

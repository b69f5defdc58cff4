"""Images drawn from a density, into PNG files.

Letters: N images, S height and width.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from namexp.data.procedural_images import Pixels
from namexp.door import shown
from namexp.engine.stored import refuse_diverged
from namexp.errors import UserError
from namexp.models.glow import Glow
from namexp.tasks.density.data.items import quantised
from namexp.tasks.density.showing.sheets import laid_out, write_png
from namexp.tasks.density.weights.loading import load_density
from namexp.tasks.doors import temperatures_of

COUNT, MOST = 16, 100_000
BATCH = 64  # images that are computed at once
SHEET, SHEET_COLUMNS, SHEET_MOST = "samples.png", 8, 64


class Drawing(NamedTuple):
    """What is drawn.

    Attributes:
        temperatures: of the noise: every image at each.
        seed: of the noise, the same at every temperature.
        number: of images.
    """

    temperatures: tuple[float, ...] = (1.0,)
    seed: int = 0
    number: int = COUNT

    @classmethod
    def of(cls, arguments: Namespace) -> Drawing:
        """What the command line says.

        Raises:
            UserError: a value that is out of range.
        """
        seed = 0 if arguments.seed is None else arguments.seed
        if not 0 <= seed < 2**63:
            raise UserError(f"--seed (= {seed}) must be at least 0 and below 2^63.")
        count = COUNT if arguments.count is None else arguments.count
        if not 1 <= count <= MOST:
            raise UserError(f"--count (= {count}) must be at least 1 and at most {MOST}.")
        return cls(temperatures_of(arguments.temperature), seed, count)


def sample(model: Path, output: Path, drawing: Drawing) -> Iterator[str]:
    """Write ``sample-<number>.png`` of every image and a sheet of the first ones; a line for each file.

    Of several temperatures each has a directory of its own. An image depends on the seed and its number, not
    on how many there are.

    Raises:
        UserError: no density, or the output is a file.
    """
    density = load_density(model)
    refuse_diverged(density.network, density.source)
    if output.exists() and not output.is_dir():
        raise UserError(f"{output}: is a file; give a directory for the images.")
    for temperature in drawing.temperatures:
        folder = output if len(drawing.temperatures) == 1 else output / f"{temperature:g}"
        yield from _written(folder, density.network, temperature, drawing)


def _written(folder: Path, network: Glow, temperature: float, drawing: Drawing) -> Iterator[str]:
    first: list[Pixels] = []
    digits = max(4, len(str(drawing.number - 1)))
    for i, image in enumerate(_images(network, temperature, drawing)):
        if i < SHEET_MOST:
            first.append(image)
        path = folder / f"sample-{i:0{digits}d}.png"
        write_png(path, image.transpose(1, 2, 0))
        yield shown(path)
    write_png(folder / SHEET, laid_out(np.stack(first), min(SHEET_COLUMNS, len(first))))
    yield shown(folder / SHEET)


@torch.no_grad()
def _images(network: Glow, temperature: float, drawing: Drawing) -> Iterator[Pixels]:
    """(3, S, S) 8 bit, one by one."""
    generator = torch.Generator().manual_seed(drawing.seed)
    begins = range(0, drawing.number, BATCH)
    for begin in tqdm(begins, desc="drawing", delay=3.0, leave=False):
        each = [network.draw_noise(1, generator) for _ in range(min(BATCH, drawing.number - begin))]
        noise = [temperature * torch.cat(parts) for parts in zip(*each, strict=True)]
        yield from quantised(network.inverse(noise))

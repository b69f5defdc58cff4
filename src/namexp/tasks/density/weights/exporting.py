"""From a run to ``model.safetensors``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from namexp.engine.stored import save_verified
from namexp.errors import UserError
from namexp.reading.damage import content_of
from namexp.runs.files import read_json
from namexp.runs.summaries import about_training
from namexp.tasks.density.layout import DensityLayout
from namexp.tasks.density.networks import bits_of
from namexp.tasks.density.weights.loading import load_density
from namexp.tasks.density.weights.single import Density, read_density, write_density

PROBES = 2
TOLERANCE = 1e-6


def save_density(path: Path, density: Density) -> None:
    """Write ``model.safetensors``, verified by what images cost.

    Raises:
        UserError: weights that are not finite, or images cost something else.
    """
    network = density.network
    size = network.spec.image_size
    probe = torch.rand(PROBES, 3, size, size, generator=torch.Generator().manual_seed(0)) - 0.5

    def difference(file: Path) -> float:
        costs = [bits_of(one, [probe]) for one in (network, read_density(file).network)]
        return float((costs[0] - costs[1]).abs().max())

    save_verified(
        path, network, density.source, lambda file: write_density(file, density), difference,
        tolerance=TOLERANCE,
    )  # fmt: skip


def export(source: Path, output: Path | None) -> Path:
    """Export a run, or anything else that ``load_density`` opens.

    Raises:
        UserError: nothing there that can be exported.
    """
    run = DensityLayout(source)
    of_run = source.is_dir() and run.config.exists()
    if output is None and not of_run:
        raise UserError(f"{source}: is no run directory; name the file by -o FILE.")
    density = load_density((run.best_or_last() if of_run else None) or source)
    if of_run and run.summary.exists():
        with content_of(run.summary):
            density = replace(density, about={**density.about, **about_training(read_json(run.summary))})
    path = output or run.model
    path.parent.mkdir(parents=True, exist_ok=True)
    save_density(path, density)
    return path

"""The commands' part for densities of images."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from namexp.architectures.glow import GlowSpec
from namexp.tasks.doors import Doors, Evaluated, Inspected, in_columns


class DensityDoors(Doors):
    """Runs, checkpoints and ``model.safetensors``."""

    models = "a density of images"
    own_options = frozenset({"temperature", "seed", "count"})
    makes = "images"

    def evaluate(self, arguments: Namespace) -> Evaluated:
        """Bits per dimension of every set of images, and of all."""
        from namexp.tasks.density.evaluating import evaluate_images

        found = evaluate_images(arguments.model, arguments.paths)
        images = sum(own["images"] for own in found["sets"])
        rows = [*found["sets"], {"name": "mean", "images": images, **found["mean"]}]
        return Evaluated(found, in_columns("set", rows, 5))

    def export(self, arguments: Namespace) -> list[Path]:
        """``model.safetensors``."""
        from namexp.tasks.density.weights.exporting import export

        return [export(arguments.run, arguments.output)]

    def inspect(self, arguments: Namespace) -> Inspected:
        """Sizes, parameters, and what the file says of its training."""
        from namexp.tasks.density.weights.loading import load_density

        density = load_density(arguments.file)
        return Inspected.of({**_described(density.network.spec), **density.about})

    def synthesize(self, arguments: Namespace) -> Iterator[str]:
        """Images, from noise alone."""
        from namexp.tasks.density.sampling import Drawing, sample

        return sample(arguments.model, arguments.output, Drawing.of(arguments))

    def describe(self, config: Any) -> Mapping[str, Any]:
        """The same of a config."""
        return _described(config.model.spec)


def _described(spec: GlowSpec) -> dict[str, Any]:
    return {
        "kind": "glow",
        "model": spec.to_plain(),
        "parameters": spec.num_parameters,
        "macs_per_image": spec.macs_per_image,
    }

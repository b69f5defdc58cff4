"""The commands' part for densities of images."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.architectures.glow import GlowSpec
from namexp.door import OK
from namexp.errors import UserError
from namexp.tasks.doors import Doors


class DensityDoors(Doors):
    """Runs, checkpoints and ``model.safetensors``."""

    models = "a density of images"
    own_options = frozenset()

    def evaluate(self, arguments: Namespace) -> None:
        """Bits per dimension of every set of images, and of all."""
        from namexp.runs.files import write_json
        from namexp.tasks.density.evaluating import evaluate_images

        found = evaluate_images(arguments.model, arguments.paths)
        sets = [
            *found["sets"],
            {"name": "mean", "images": sum(s["images"] for s in found["sets"]), **found["mean"]},
        ]
        width = max(len(entry["name"]) for entry in sets)
        print(f"{'set'.ljust(width)}  {'images':>8}  {'bpd':>9}")
        for entry in sets:
            print(f"{entry['name'].ljust(width)}  {entry['images']:8d}  {entry['bpd']:9.5f}")
        if arguments.json is not None:
            write_json(arguments.json, found)

    def export(self, arguments: Namespace) -> Path:
        """``model.safetensors``."""
        from namexp.tasks.density.weights.exporting import export

        return export(arguments.run, arguments.output)

    def inspect(self, arguments: Namespace) -> int:
        """Sizes, parameters, and what the file says of its training."""
        from namexp.tasks.density.weights.loading import load_density

        density = load_density(arguments.file)
        described = {**_described(density.network.spec), **density.about}
        if arguments.json:
            print(json.dumps(described, indent=2))
            return OK
        for key, value in described.items():
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value
            print(f"{key.ljust(18)} {text}")
        return OK

    def describe(self, config: Any) -> Mapping[str, Any]:
        """The same of a config."""
        return _described(config.model.spec)

    def synthesize(self, arguments: Namespace) -> None:
        """There is no sound.

        Raises:
            UserError: always.
        """
        raise UserError(
            f"{arguments.model}: is {self.models} and plays nothing; its samples are pictures of its run."
        )

    def benchmark(self, config: Any, arguments: Namespace) -> Mapping[str, Any]:
        """There is no sound.

        Raises:
            UserError: always.
        """
        del config
        raise UserError(
            f"--benchmark {arguments.benchmark}: is {self.models}; synthesis is timed of vocoders."
        )


def _described(spec: GlowSpec) -> dict[str, Any]:
    return {
        "kind": "glow",
        "model": spec.to_plain(),
        "parameters": spec.num_parameters,
        "macs_per_image": spec.macs_per_image,
    }

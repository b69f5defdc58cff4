"""The commands' part for models of amps."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.door import FAILED, OK
from namexp.errors import UserError
from namexp.tasks.doors import Doors


class CaptureDoors(Doors):
    """``.nam`` files, and the runs that they come from."""

    models = "a model of an amp"
    own_options = frozenset({"slim", "delay", "container_max_values", "metadata"})

    def evaluate(self, arguments: Namespace) -> None:
        """Every size's metrics on a pair of recordings."""
        from namexp.runs.files import write_json
        from namexp.tasks.capture.evaluating import evaluate_files

        if len(arguments.paths) != 2:
            raise UserError(
                f"{arguments.model}: {self.models} is compared on two recordings, and "
                f"{len(arguments.paths)} were "
                "given: python -m namexp.evaluate MODEL IN.wav TARGET.wav."
            )
        submodels = evaluate_files(
            arguments.model, *arguments.paths, slim=arguments.slim, delay=arguments.delay or 0
        )
        names = [key for key in submodels[0] if key != "index"]
        print("submodel  " + "  ".join(name.rjust(10) for name in names))
        for entry in submodels:
            print(f"{entry['index']:8d}  " + "  ".join(f"{entry[name]:10.6f}" for name in names))
        if arguments.json is not None:
            write_json(arguments.json, {"submodels": submodels})

    def export(self, arguments: Namespace) -> Path:
        """A verified ``.nam``."""
        from namexp.tasks.capture.config.export import metadata_of
        from namexp.tasks.capture.config.thresholds import setting_of
        from namexp.tasks.capture.weights.exporting import export_run

        return export_run(
            arguments.run,
            output=arguments.output,
            container_max_values=setting_of(arguments.container_max_values, "--container-max-values"),
            metadata=metadata_of(arguments.metadata, "--metadata"),
        )

    def inspect(self, arguments: Namespace) -> int:
        """What is in a ``.nam``, and whether the C++ runtime loads it."""
        from namexp.nam.describe import describe_file, lines

        described = describe_file(arguments.file)
        if arguments.json:
            print(json.dumps(described, indent=2))
        elif described["loads"]:
            print("\n".join([f"{arguments.file}: the C++ runtime loads it", *lines(described, "  ")]))
        for warning in described["warnings"] if not arguments.json else []:
            print(f"warning: {warning}")
        if not described["loads"]:
            print(f"namexp.inspect: does not load: {described['reason']}", file=sys.stderr)
            return FAILED
        return OK

    def describe(self, config: Any) -> Mapping[str, Any]:
        """Sizes of every submodel."""
        plan = config.plan
        return {
            "kind": plan.kind,
            "receptive_field": plan.receptive_field,
            "submodels": [
                {"name": name, "parameters": spec.num_weights, "macs_per_sample": spec.macs_per_sample}
                for name, spec in plan.rows
            ],
        }

"""The commands' part for models of amps."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.errors import UserError
from namexp.tasks.doors import Doors, Evaluated, Inspected


class CaptureDoors(Doors):
    """``.nam`` files, and the runs that they come from."""

    models = "a model of an amp"
    own_options = frozenset({"slim", "delay", "allow_unequal_lengths", "container_max_values", "metadata"})

    instead = ", it plays a recording: python -m namexp.render MODEL IN OUT."

    def evaluate(self, arguments: Namespace) -> Evaluated:
        """Every size's metrics on a pair of recordings."""
        from namexp.tasks.capture.evaluating import evaluate_files

        if len(arguments.paths) != 2:
            raise UserError(
                f"{arguments.model}: {self.models} is compared on two recordings, and {len(arguments.paths)} "
                "were given: python -m namexp.evaluate MODEL IN.wav TARGET.wav."
            )
        submodels = evaluate_files(
            arguments.model,
            *arguments.paths,
            slim=arguments.slim,
            delay=arguments.delay or 0,
            allow_unequal_lengths=arguments.allow_unequal_lengths,
        )
        names = [key for key in submodels[0] if key != "index"]
        lines = [
            "submodel  " + "  ".join(name.rjust(10) for name in names),
            *(f"{e['index']:8d}  " + "  ".join(f"{e[name]:10.6f}" for name in names) for e in submodels),
        ]
        return Evaluated({"submodels": submodels}, lines)

    def export(self, arguments: Namespace) -> list[Path]:
        """A verified ``.nam``."""
        from namexp.tasks.capture.config.export import metadata_of
        from namexp.tasks.capture.config.thresholds import setting_of
        from namexp.tasks.capture.weights.exporting import export_run

        return [
            export_run(
                arguments.run,
                output=arguments.output,
                container_max_values=setting_of(arguments.container_max_values, "--container-max-values"),
                metadata=metadata_of(arguments.metadata, "--metadata"),
            )
        ]

    def inspect(self, arguments: Namespace) -> Inspected:
        """What is in a ``.nam``, or in that of a run, and whether the C++ runtime loads it."""
        from namexp.nam.describe import describe_file, lines
        from namexp.tasks.capture.layout import CaptureLayout

        file = CaptureLayout(arguments.file).nam if arguments.file.is_dir() else arguments.file
        described = describe_file(file)
        warnings = [f"warning: {warning}" for warning in described["warnings"]]
        if not described["loads"]:
            return Inspected(described, warnings, f"does not load: {described['reason']}")
        head = f"{file}: the C++ runtime loads it"
        return Inspected(described, [head, *lines(described, "  "), *warnings])

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

"""The commands' part for flows that synthesise."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from namexp.errors import UserError
from namexp.tasks.doors import Doors, Inspected, in_columns


class FlowDoors(Doors):
    """WaveFlow and NanoFlow: runs, checkpoints, ``model.safetensors``."""

    models = "a flow that synthesises"
    own_options = frozenset({"temperature", "seed", "reference"})
    makes = "sound"

    def evaluate(self, arguments: Namespace) -> list[str]:
        """Every clip's log-likelihood, and the mean."""
        from namexp.runs.files import write_json
        from namexp.tasks.vocoder.flows.evaluating import evaluate_clips

        found = evaluate_clips(arguments.model, arguments.paths, reference=arguments.reference)
        if arguments.json is not None:
            write_json(arguments.json, found)
        gain = [f"ll_gain {found['ll_gain']:.4f}"] if "ll_gain" in found else []
        return [*in_columns("clip", [*found["clips"], {"name": "mean", **found["mean"]}], 4), *gain]

    def export(self, arguments: Namespace) -> list[Path]:
        """``model.safetensors``."""
        from namexp.tasks.vocoder.flows.exporting import export

        return [export(arguments.run, arguments.output)]

    def inspect(self, arguments: Namespace) -> Inspected:
        """Sizes, rate, mel and multiply-accumulates."""
        from namexp.tasks.vocoder.flows.voice import load_flow

        voice = load_flow(arguments.file)
        described = _described(voice.kind, voice.network.spec, voice.mels)
        more = {key: value for key, value in voice.about.items() if key not in described}
        return Inspected.of({**described, **more})

    def describe(self, config: Any) -> Mapping[str, Any]:
        """The same of a config."""
        return _described(config.model.kind, config.model.flow, config.model.mels)

    def synthesize(self, arguments: Namespace) -> Iterator[str]:
        """Sound from mels or recordings, and noise."""
        from namexp.tasks.vocoder.flows.synthesizing import Drawing, synthesize
        from namexp.tasks.vocoder.sources import Options

        temperature = 1.0 if arguments.temperature is None else arguments.temperature
        if not (math.isfinite(temperature) and temperature >= 0):
            raise UserError(f"--temperature (= {temperature:g}) must be at least 0; 0.6 to 1 is usual.")
        drawing = Drawing(temperature, arguments.seed or 0)
        return synthesize(arguments.model, arguments.inputs, arguments.output, Options.of(arguments), drawing)

    def benchmark(self, config: Any, arguments: Namespace) -> Mapping[str, Any]:
        """Seconds of computation for seconds of audio."""
        import torch

        from namexp.models.hifigan.timing import max_rss_mb
        from namexp.tasks.vocoder.flows.networks import build_network
        from namexp.tasks.vocoder.flows.playing import speed

        torch.set_num_threads(arguments.threads)
        network = build_network(config.model, seed=0).eval()
        audio, cpu, wall = speed(
            network, config.model.sample_rate, seconds=arguments.seconds, rounds=arguments.rounds
        )
        return {
            "cpu_s_best": cpu, "wall_s_best": wall, "audio_s": audio, "xrt": audio / wall,
            "max_rss_mb": max_rss_mb(),
        }  # fmt: skip


def _described(kind: str, spec: Any, mels: Any) -> dict[str, Any]:
    from namexp.tasks.vocoder.config.flow import plain_flow

    rate = mels.input.sample_rate
    return {
        "kind": kind,
        "sample_rate": rate,
        "mel": mels.to_plain(),
        "flow": plain_flow(spec),
        "parameters": {
            "training": spec.num_parameters_training,
            "plain": spec.num_parameters_plain,
            "synthesis": spec.num_parameters,
        },
        "macs_per_sample": {"forward": spec.macs_per_sample, "synthesis": spec.macs_per_sample_inverse},
        "gmacs_per_second": round(spec.macs_per_sample_inverse * rate / 1e9, 3),
        "receptive_field": spec.receptive_field,
    }

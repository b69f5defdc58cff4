"""The commands' part for vocoders."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from namexp.tasks.doors import Doors, Evaluated, Inspected, in_columns


class VocoderDoors(Doors):
    """Runs, ``model.safetensors``, and the official code's files."""

    models = "a vocoder"
    own_options = frozenset({"format", "discriminators", "config"})
    makes = "sound"

    def evaluate(self, arguments: Namespace) -> Evaluated:
        """Every clip's mel error and MRSTFT, and their means."""
        from namexp.tasks.vocoder.evaluating import evaluate_clips

        found = evaluate_clips(arguments.model, arguments.paths, config=arguments.config)
        rows = [*found["clips"], {"name": "mean", **found["mean"]}]
        return Evaluated(found, in_columns("clip", rows, 6))

    def export(self, arguments: Namespace) -> list[Path]:
        """``model.safetensors``, the official pair, or ONNX."""
        from namexp.tasks.vocoder.weights.exporting import export

        model, *others = export(
            arguments.run,
            arguments.output,
            format=arguments.format,
            discriminators=arguments.discriminators,
            config=arguments.config,
        )
        return [*others, model]

    def inspect(self, arguments: Namespace) -> Inspected:
        """Sizes, rate, mel and multiply-accumulates."""
        from namexp.tasks.vocoder.inspecting import described_file

        return Inspected.of(described_file(arguments.file, arguments.config))

    def describe(self, config: Any) -> Mapping[str, Any]:
        """The same of a config."""
        from namexp.tasks.vocoder.inspecting import described_config

        return described_config(config)

    def synthesize(self, arguments: Namespace) -> Iterator[str]:
        """Sound from mels or recordings."""
        from namexp.tasks.vocoder.sources import Options
        from namexp.tasks.vocoder.synthesizing import synthesize

        return synthesize(
            arguments.model,
            arguments.inputs,
            arguments.output,
            Options.of(arguments),
            config=arguments.config,
        )

    def benchmark(self, config: Any, arguments: Namespace) -> Mapping[str, Any]:
        """Seconds of computation for seconds of audio."""
        from namexp.models.hifigan.timing import max_rss_mb, timed
        from namexp.tasks.vocoder.weights.loading import random_generator

        timing = timed(
            random_generator(config.model),
            sample_rate=config.model.sample_rate,
            seconds=arguments.seconds,
            rounds=arguments.rounds,
            threads=arguments.threads,
        )
        return {
            "cpu_s_best": timing.cpu_seconds,
            "wall_s_best": timing.wall_seconds,
            "audio_s": timing.audio_seconds,
            "xrt": timing.audio_seconds / timing.wall_seconds,
            "max_rss_mb": max_rss_mb(),
        }

"""The commands' part for vocoders."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.door import OK, shown
from namexp.tasks.doors import Doors, told


class VocoderDoors(Doors):
    """Runs, ``model.safetensors``, and the official code's files."""

    models = "a vocoder"
    own_options = frozenset({"format", "discriminators", "config"})

    def evaluate(self, arguments: Namespace) -> None:
        """Every clip's mel error and MRSTFT, and their means."""
        from namexp.runs.files import write_json
        from namexp.tasks.vocoder.evaluating import evaluate_clips

        found = evaluate_clips(arguments.model, arguments.paths, config=arguments.config)
        names = list(found["mean"])
        width = max(len("mean"), *(len(clip["name"]) for clip in found["clips"]))
        print("clip".ljust(width) + "".join(f"  {name:>11}" for name in names))
        for clip in [*found["clips"], {"name": "mean", **found["mean"]}]:
            print(clip["name"].ljust(width) + "".join(f"  {clip[name]:11.6f}" for name in names))
        if arguments.json is not None:
            write_json(arguments.json, found)

    def export(self, arguments: Namespace) -> Path:
        """``model.safetensors``, the official pair, or ONNX."""
        from namexp.tasks.vocoder.weights.exporting import export

        paths = export(
            arguments.run, arguments.output, format=arguments.format, discriminators=arguments.discriminators
        )
        for path in paths[1:]:
            print(shown(path))
        return paths[0]

    def inspect(self, arguments: Namespace) -> int:
        """Sizes, rate, mel and multiply-accumulates."""
        from namexp.tasks.vocoder.inspecting import described_file

        told(described_file(arguments.file, arguments.config), arguments)
        return OK

    def describe(self, config: Any) -> Mapping[str, Any]:
        """The same of a config."""
        from namexp.tasks.vocoder.inspecting import described_config

        return described_config(config)

    def synthesize(self, arguments: Namespace) -> None:
        """Sound from mels or recordings."""
        from namexp.tasks.vocoder.sources import Options
        from namexp.tasks.vocoder.synthesizing import synthesize

        options = Options(
            float32=arguments.float,
            mel_scale=arguments.mel_scale,
            match_length=arguments.match_length,
            chunk_seconds=arguments.chunk_seconds,
            test=arguments.test,
            expected_files=arguments.expected_files,
            accept_untested=arguments.accept_untested,
        )
        synthesize(arguments.model, arguments.inputs, arguments.output, options, config=arguments.config)

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

"""The commands' part for flows that synthesise."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.door import OK
from namexp.errors import UserError
from namexp.tasks.doors import Doors, told


class FlowDoors(Doors):
    """WaveFlow and NanoFlow: runs, checkpoints, ``model.safetensors``."""

    models = "a flow that synthesises"
    own_options = frozenset({"temperature", "seed", "reference"})

    def evaluate(self, arguments: Namespace) -> None:
        """Every clip's log-likelihood, and the mean."""
        from namexp.runs.files import write_json
        from namexp.tasks.vocoder.flows.evaluating import evaluate_clips

        found = evaluate_clips(arguments.model, arguments.paths, reference=arguments.reference)
        width = max(len("mean"), *(len(clip["name"]) for clip in found["clips"]))
        names = list(found["mean"])
        print("clip".ljust(width) + "".join(f"  {name:>9}" for name in names))
        for clip in [*found["clips"], {"name": "mean", **found["mean"]}]:
            print(clip["name"].ljust(width) + "".join(f"  {clip[name]:9.4f}" for name in names))
        if "ll_gain" in found:
            print(f"ll_gain {found['ll_gain']:.4f}")
        if arguments.json is not None:
            write_json(arguments.json, found)

    def export(self, arguments: Namespace) -> Path:
        """``model.safetensors``."""
        from namexp.tasks.vocoder.flows.voice import load_flow, write_flow
        from namexp.tasks.vocoder.layout import VocoderLayout

        run = VocoderLayout(arguments.run)
        path = arguments.output or run.model
        if arguments.output is None and not run.config.exists():
            raise UserError(f"{arguments.run}: is no run directory; name the file by -o FILE.")
        found = next((p for p in (run.best_checkpoint, run.last_checkpoint) if p.exists()), arguments.run)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flow(path, load_flow(found))
        return Path(path)

    def inspect(self, arguments: Namespace) -> int:
        """Sizes, rate, mel and multiply-accumulates."""
        from namexp.tasks.vocoder.flows.voice import load_flow

        voice = load_flow(arguments.file)
        described = _described(voice.kind, voice.network.spec, voice.mels)
        told({**described, **{k: v for k, v in voice.about.items() if k not in described}}, arguments)
        return OK

    def describe(self, config: Any) -> Mapping[str, Any]:
        """The same of a config."""
        return _described(config.model.kind, config.model.flow, config.model.mels)

    def synthesize(self, arguments: Namespace) -> None:
        """Sound from mels or recordings, and noise."""
        from namexp.tasks.vocoder.flows.synthesizing import Drawing, synthesize
        from namexp.tasks.vocoder.sources import Options

        temperature = 1.0 if arguments.temperature is None else arguments.temperature
        if not (math.isfinite(temperature) and temperature >= 0):
            raise UserError(f"--temperature (= {temperature:g}) must be at least 0; 0.6 to 1 is usual.")
        options = Options(
            float32=arguments.float,
            mel_scale=arguments.mel_scale,
            match_length=arguments.match_length,
            chunk_seconds=arguments.chunk_seconds,
            test=arguments.test,
            expected_files=arguments.expected_files,
            accept_untested=arguments.accept_untested,
        )
        drawing = Drawing(temperature, arguments.seed or 0)
        synthesize(arguments.model, arguments.inputs, arguments.output, options, drawing)

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

"""The commands' part for flows that synthesise."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from namexp.schema.initial import Averaging
from namexp.tasks.doors import Doors, Evaluated, Inspected, in_columns

if TYPE_CHECKING:
    from namexp.tasks.vocoder.flows.voice import FlowVoice


class FlowDoors(Doors):
    """WaveFlow and NanoFlow: runs, checkpoints, ``model.safetensors``."""

    models = "a flow that synthesises"
    own_options = frozenset(
        {
            *("config", "format", "average", "epsilon", "normalize"),
            *("temperature", "seed", "latent", "trim", "reference", "latents"),
        }
    )
    makes = "sound"

    def evaluate(self, arguments: Namespace) -> Evaluated:
        """Every clip's log-likelihood, and the mean."""
        from namexp.tasks.vocoder.flows.evaluating import evaluate_clips

        found = evaluate_clips(
            _loaded(arguments, arguments.model),
            arguments.paths,
            reference=arguments.reference,
            latents=arguments.latents,
        )
        gain = [f"ll_gain {found['ll_gain']:.4f}"] if "ll_gain" in found else []
        rows = [*found["clips"], {"name": "mean", **found["mean"]}]
        return Evaluated(found, [*in_columns("clip", rows, 4), *gain])

    def export(self, arguments: Namespace) -> list[Path]:
        """``model.safetensors``."""
        from namexp.tasks.vocoder.flows.exporting import export

        return export(
            arguments.run,
            arguments.output,
            format=arguments.format,
            config=arguments.config,
            averaging=_averaging(arguments),
        )

    def inspect(self, arguments: Namespace) -> Inspected:
        """Sizes, rate, mel and multiply-accumulates."""
        from namexp.tasks.vocoder.flows.loading import load_flow

        voice = load_flow(arguments.file, arguments.config)
        described = _described(voice.kind, voice.network.spec, voice.mels)
        more = {key: value for key, value in voice.about.items() if key not in described}
        return Inspected.of({**described, **more})

    def describe(self, config: Any) -> Mapping[str, Any]:
        """The same of a config, and the memory of a training."""
        from namexp.tasks.vocoder.flows.networks import training_memory

        described = _described(config.model.kind, config.model.flow, config.model.mels)
        return {**described, "training_memory_gb": training_memory(config).to_plain()}

    def synthesize(self, arguments: Namespace) -> Iterator[str]:
        """Sound from mels or recordings, and noise."""
        from namexp.tasks.vocoder.flows.synthesizing import Drawing, synthesize
        from namexp.tasks.vocoder.sources import Options

        drawing, options = Drawing.of(arguments), Options.of(arguments)
        voice = _loaded(arguments, arguments.model)  # before anybody is asked for thought
        return synthesize(voice, arguments.inputs, arguments.output, options, drawing)

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


def _averaging(arguments: Namespace) -> Averaging | None:
    return Averaging.checked(
        arguments.average,
        arguments.epsilon,
        normalize=arguments.normalize,
        names=("--average", "--epsilon"),
    )


def _loaded(arguments: Namespace, path: Path) -> FlowVoice:
    from namexp.tasks.vocoder.flows.loading import load_flow

    return load_flow(path, arguments.config, _averaging(arguments))


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

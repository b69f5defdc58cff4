"""What a vocoder is: sizes, rate, mel, and what a second of audio costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from namexp.architectures.hifigan import GeneratorSpec
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.config.whole import VocoderConfig
from namexp.tasks.vocoder.networks import discriminator_parameters
from namexp.tasks.vocoder.statistics import overall
from namexp.tasks.vocoder.weights.loading import load_voice


def described_config(config: VocoderConfig) -> dict[str, Any]:
    """Of a config."""
    model = config.model
    return _described(model.generator, model.mels, discriminator_parameters(model))


def described_file(path: Path, config: Path | None = None) -> dict[str, Any]:
    """Of whatever ``load_voice`` opens.

    Raises:
        UserError: it cannot be opened.
    """
    voice = load_voice(path, config)
    sizes = {
        part: sum(
            value.numel()
            for name, value in voice.discriminators.items()
            if name.startswith(f"{part}.") and not _is_estimate(name, voice.discriminators)
        )
        for part in ("mpd", "msd")
    }
    described = _described(voice.generator.spec, voice.mels, sizes if any(sizes.values()) else None)
    if voice.statistics is not None:
        mean, spread = overall(voice.statistics)
        described["mel_statistics"] = {
            "frames": voice.statistics.get("frames"),
            "mean": round(mean, 4),
            "std": round(spread, 4),
        }
    return described | {key: value for key, value in voice.about.items() if key not in described}


def _is_estimate(name: str, weights: Any) -> bool:
    """Whether a tensor is the state of a spectral norm, which is learned by no gradient."""
    stem, _, last = name.rpartition(".")
    return last in ("weight_u", "weight_v") and f"{stem}.weight_orig" in weights


def _described(spec: GeneratorSpec, mels: Mels, discriminators: dict[str, int] | None) -> dict[str, Any]:
    rate = mels.input.sample_rate
    return {
        "kind": "hifigan",
        "sample_rate": rate,
        "mel": mels.to_plain(),
        "generator": spec.to_plain(),
        "parameters": {
            "training": spec.num_parameters_training,
            "synthesis": spec.num_parameters,
            "discriminators": discriminators,
        },
        "macs_per_sample": spec.macs_per_frame / spec.hop_length,
        "gmacs_per_second": round(spec.macs_per_frame / spec.hop_length * rate / 1e9, 3),
        "context_frames": spec.context_frames,
    }

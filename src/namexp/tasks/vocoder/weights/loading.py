"""Whatever plays mels: a run, a checkpoint, ``model.safetensors``, or an official ``g_`` file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namexp.engine.checkpoint import load_checkpoint
from namexp.engine.stored import refuse_diverged
from namexp.errors import UserError
from namexp.models.hifigan import Generator
from namexp.models.hifigan.states import check_fit, load_weights
from namexp.reading.damage import content_of
from namexp.schema.group import parse_group
from namexp.tasks.vocoder.config.mel import differences
from namexp.tasks.vocoder.config.model import HifiganModel
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.statistics import MelStatistics
from namexp.tasks.vocoder.weights.official import newest_generator, read_official, read_official_config
from namexp.tasks.vocoder.weights.single import read_voice
from namexp.tasks.vocoder.weights.voice import Voice

GENERATOR, STATISTICS, GAN = "network.gan.generator.", "network.statistics.", "network.gan."


def load_voice(path: Path, config: Path | None = None) -> Voice:
    """Open ``path``.

    Args:
        path: a run directory (``model.safetensors``, else its best checkpoint, else its last one), a
            checkpoint, a ``.safetensors``, an official ``g_`` file, or a directory that holds one.
        config: an official ``config.json``: of a ``g_`` file that has none beside it; of anything else it
            must say the same mel.

    Raises:
        UserError: it is none of them, damaged, or its mel is another than the config's.
    """
    voice = _opened(path, config)
    refuse_diverged(voice.generator, voice.source)
    if config is not None:
        _check_mel(voice, config)
    return voice


def _opened(path: Path, config: Path | None) -> Voice:
    if path.is_dir():
        return _of_directory(path, config)
    if not path.is_file():
        raise UserError(
            f"{path}: no such file; give a run directory, a checkpoint, a model.safetensors or an official "
            "g_ file."
        )
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        return read_voice(path)
    return voice_of_checkpoint(path) if suffix == ".ckpt" else read_official(path, config)


def _of_directory(path: Path, config: Path | None) -> Voice:
    run = VocoderLayout(path)
    if run.model.exists():
        return read_voice(run.model)
    found = run.best_or_last()
    if found is not None:
        return voice_of_checkpoint(found)
    official = newest_generator(path)
    if official is not None:
        return read_official(official, config)
    raise UserError(f"{path}: holds no model.safetensors, no checkpoints/best.ckpt and no g_ file.")


def voice_of_checkpoint(path: Path) -> Voice:
    """The voice in one of our checkpoints, discriminators included.

    Raises:
        UserError: it is none, or damaged, or no vocoder's.
    """
    content = load_checkpoint(path)
    with content_of(path):
        return _voice(path, content)


def _voice(path: Path, content: Mapping[str, Any]) -> Voice:
    about = content["namexp"]
    model = stored_model(about, path)
    state = content["state_dict"]
    with torch.device("meta"):  # a size that nobody has memory for is found by the shapes
        generator = Generator(model.generator)
    check_fit(generator, _below(state, GENERATOR), source=str(path))
    generator = generator.to_empty(device="cpu")
    load_weights(generator, _below(state, GENERATOR), source=str(path))
    statistics = MelStatistics(model.generator.n_mels)
    statistics.load_state_dict(_below(state, STATISTICS))
    adversaries = {k: v for k, v in _below(state, GAN).items() if k.startswith(("mpd.", "msd."))}
    told = {key: about[key] for key in ("training_id", "seed") if key in about}
    told["updates"] = content.get("updates")
    return Voice(generator.fused().float().eval(), model.mels, path, statistics.to_plain(), adversaries, told)


def stored_model(about: Mapping[str, Any], path: Path) -> HifiganModel:
    """The model group that a checkpoint tells.

    Raises:
        UserError: it tells of another kind of model.
    """
    values = about.get("model")
    if not isinstance(values, Mapping) or values.get("kind") != "hifigan":
        kind = values.get("kind") if isinstance(values, Mapping) else None
        raise UserError(f"{path}: holds a model of kind {kind}, which is no vocoder.")
    return parse_group("model", values, HifiganModel)


def _below(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _check_mel(voice: Voice, config: Path) -> None:
    _, mels = read_official_config(config)
    expected = {"sample_rate": voice.sample_rate, **voice.mels.to_plain()}
    found = {"sample_rate": mels.input.sample_rate, **mels.to_plain()}
    different = differences(found, expected)
    if different:
        raise UserError(
            f"{config}: describes another mel spectrogram than {voice.source} was trained with: "
            f"{', '.join(different)}; a model plays only its own."
        )


@torch.no_grad()
def random_generator(model: HifiganModel, seed: int = 0) -> Generator:
    """Of the sizes of ``model``, with random weights, fused: to be timed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Generator(model.generator).fused().eval()

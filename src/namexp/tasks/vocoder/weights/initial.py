"""Where a training may start from: weights of a generator, and of discriminators where there are."""

from __future__ import annotations

import logging
from pathlib import Path

from torch import Tensor

from namexp.engine.checkpoint import load_checkpoint
from namexp.engine.stored import digest_of
from namexp.errors import UserError
from namexp.models.hifigan.states import load_weights
from namexp.tasks.vocoder.config.mel import differences
from namexp.tasks.vocoder.config.model import HifiganModel
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.networks import VocoderNetwork
from namexp.tasks.vocoder.weights.loading import load_voice
from namexp.tasks.vocoder.weights.official import generator_in
from namexp.tasks.vocoder.weights.voice import Voice

log = logging.getLogger(__name__)


def start_from(path: Path, network: VocoderNetwork) -> str:
    """Put the weights of ``path`` into the network.

    Args:
        path: whatever ``load_voice`` opens; of a run its checkpoint, which has the discriminators.
        network: takes them, and must have the same mel; its discriminators are marked as new where ``path``
            has none.

    Returns:
        The sha256 of the weights that were taken.

    Raises:
        UserError: unreadable, or they do not fit.
    """
    voice = _voice(path)
    _check(voice, network.model)
    gan = network.gan
    load_weights(gan.generator, voice.generator.state_dict(), source=str(voice.source))
    state = _normed(voice.source)
    if state:  # gains as they were learned: g need not be the norm of v
        load_weights(gan.generator, state, source=str(voice.source))
    for name, part in (("mpd", gan.mpd), ("msd", gan.msd)):
        own = {
            k.removeprefix(f"{name}."): v for k, v in voice.discriminators.items() if k.startswith(f"{name}.")
        }
        if own:
            load_weights(part, own, source=f"{voice.source}: {name}")
    if not voice.discriminators:
        network.new_discriminators.fill_(True)
        log.warning(
            "notice: %s has no discriminators: when they begin, new ones learn alone for "
            "loss.discriminator_warmup_steps batches",
            path,
        )
    return digest_of({**voice.generator.state_dict(), **voice.discriminators})


def _voice(path: Path) -> Voice:
    """Of a run the checkpoint rather than the file of the generator."""
    found = VocoderLayout(path).best_or_last() if path.is_dir() else None
    return load_voice(found or path)


def _check(voice: Voice, model: HifiganModel) -> None:
    expected = {"sample_rate": model.sample_rate, **model.mels.to_plain()}
    found = {"sample_rate": voice.sample_rate, **voice.mels.to_plain()}
    different = differences(found, expected)
    if different:
        raise UserError(
            f"init_from (= {voice.source}): was trained with another mel spectrogram than model says: "
            f"{', '.join(different)}; set model.mel to its own, or leave init_from out."
        )
    if voice.generator.spec != model.generator:
        plain = differences(voice.generator.spec.to_plain(), model.generator.to_plain())
        raise UserError(
            f"init_from (= {voice.source}): is another generator than model says: {', '.join(plain)}; "
            "choose the "
            "model that it is of."
        )


def _normed(path: Path) -> dict[str, Tensor]:
    """The generator's weights with their norm, where a file of it has them so."""
    if path.suffix == ".ckpt":
        prefix = "network.gan.generator."
        state = load_checkpoint(path)["state_dict"]
        return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    if path.suffix == ".safetensors":
        return {}
    return dict(generator_in(path))

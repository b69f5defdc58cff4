"""``model.safetensors``: fused weights, and all about them as JSON in the header. Loading runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namexp.engine.stored import read_stored, write_stored
from namexp.errors import UserError
from namexp.models.hifigan import Generator
from namexp.models.hifigan.states import check_fit, load_weights
from namexp.reading.damage import content_of
from namexp.schema.fields import Fields
from namexp.tasks.vocoder.config.mel import parse_mels
from namexp.tasks.vocoder.config.model import parse_generator
from namexp.tasks.vocoder.weights.voice import Voice

KIND = "hifigan"
ADVERSARIES = ("mpd.", "msd.")


def write_voice(path: Path, voice: Voice) -> None:
    """Write ``voice`` whole or not at all."""
    about = {
        "sample_rate": voice.sample_rate,
        "mel": voice.mels.to_plain(),
        "generator": voice.generator.spec.to_plain(),
        "mel_statistics": voice.statistics,
        "about": dict(voice.about),
    }
    write_stored(path, KIND, about, {**voice.generator.state_dict(), **voice.discriminators})


def read_voice(path: Path) -> Voice:
    """Read what ``write_voice`` wrote.

    Raises:
        UserError: missing, damaged, or of another program.
    """
    _, fields, tensors = read_stored(path, (KIND,))
    with content_of(path):
        return _voice(path, fields, tensors)


def _voice(path: Path, fields: Fields, tensors: Mapping[str, Tensor]) -> Voice:
    mels = parse_mels(fields.raw("mel"), fields.integer("sample_rate", minimum=1), fields.where("mel"))
    spec = parse_generator(fields.raw("generator"), mels, fields.where("generator"))
    own = {k: v for k, v in tensors.items() if not k.startswith(ADVERSARIES)}
    with torch.device("meta"):
        generator = Generator(spec, normed=False)
    check_fit(generator, own, source=str(path))  # before there is memory for it
    generator = generator.to_empty(device="cpu")
    load_weights(generator, own, source=str(path))
    return Voice(
        generator.float().eval(),
        mels,
        path,
        check_statistics(fields.raw("mel_statistics", None), spec.n_mels, path),
        {k: v for k, v in tensors.items() if k.startswith(ADVERSARIES)},
        fields.section("about").mapping,
    )


def check_statistics(values: Any, n_mels: int, path: Path) -> Mapping[str, Any] | None:
    """Mean and std of every bin, or None.

    Raises:
        UserError: they are not that.
    """
    if values is None:
        return None
    fields = Fields(values, f"{path}: mel_statistics")
    for key in ("mean", "std"):
        if len(fields.items(key)) != n_mels:
            raise UserError(f"{fields.where(key)} must have {n_mels} numbers, one for each bin.")
        for i, value in enumerate(fields.items(key)):
            Fields({key: value}, f"{fields.where(key)}[{i}]").number(key)
    return dict(values)

"""``model.safetensors``: fused weights, and all about them as JSON in the header. Loading runs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from namexp.atomic import write_atomically
from namexp.errors import UserError, one_line
from namexp.models.hifigan import Generator
from namexp.models.hifigan.states import load_weights
from namexp.schema.fields import Fields
from namexp.tasks.vocoder.config.mel import parse_mels
from namexp.tasks.vocoder.config.model import parse_generator
from namexp.tasks.vocoder.weights.voice import Voice

FORMAT = 1
KEY = "namexp"
ADVERSARIES = ("mpd.", "msd.")


def write_voice(path: Path, voice: Voice) -> None:
    """Write ``voice`` whole or not at all."""
    about = {
        "format": FORMAT,
        "kind": "hifigan",
        "sample_rate": voice.sample_rate,
        "mel": voice.mels.to_plain(),
        "generator": voice.generator.spec.to_plain(),
        "mel_statistics": voice.statistics,
        "about": dict(voice.about),
    }
    tensors = {**voice.generator.state_dict(), **voice.discriminators}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    metadata = {KEY: json.dumps(about, allow_nan=False), "format": "pt"}
    write_atomically(path, lambda temporary: save_file(plain, temporary, metadata=metadata))


def read_voice(path: Path) -> Voice:
    """Read what ``write_voice`` wrote.

    Raises:
        UserError: missing, damaged, or of another program.
    """
    about, tensors = _content(path)
    fields = Fields(about, f"{path}: {KEY}")
    if fields.integer("format") != FORMAT:
        raise UserError(f"{path}: has the format {about['format']}, and this namexp reads {FORMAT}.")
    fields.choice("kind", ("hifigan",))
    mels = parse_mels(fields.raw("mel"), fields.integer("sample_rate", minimum=1), fields.where("mel"))
    spec = parse_generator(fields.raw("generator"), mels, fields.where("generator"))
    own = {k: v for k, v in tensors.items() if not k.startswith(ADVERSARIES)}
    with torch.device("meta"):
        generator = Generator(spec, normed=False)
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


def _content(path: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            about = json.loads(metadata[KEY]) if KEY in metadata else None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file that can be read ({one_line(error)}).") from None
    if not isinstance(about, Mapping):
        raise UserError(f"{path}: was not written by namexp (its header does not say what the model is).")
    return about, tensors


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

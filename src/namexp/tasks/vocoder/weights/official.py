"""The official code's files: ``g_XXXXXXXX`` with ``config.json`` beside it, and ``do_XXXXXXXX``.

Source: what the official ``train.py`` saves and ``inference.py`` reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namexp.atomic import write_atomically
from namexp.errors import UserError, one_line
from namexp.models.hifigan import Generator
from namexp.models.hifigan.states import check_fit, load_weights
from namexp.reading.archive import LIMIT, is_archive, verify_archive
from namexp.reading.damage import content_of
from namexp.reading.regular import check_regular
from namexp.runs.files import read_json, write_json
from namexp.schema.fields import Fields, is_number
from namexp.tasks.vocoder.config.mel import Mels, parse_mels
from namexp.tasks.vocoder.config.model import parse_generator
from namexp.tasks.vocoder.weights.voice import Voice

GENERATOR = re.compile(r"g_(\d+)")
SPEC = (
    "upsample_rates", "upsample_kernel_sizes", "upsample_initial_channel", "resblock",
    "resblock_kernel_sizes", "resblock_dilation_sizes",
)  # fmt: skip
# ours, theirs, and what the official configurations say where a config.json does not
MEL_NAMES = (
    ("n_fft", "n_fft", 1024), ("hop_length", "hop_size", None), ("win_length", "win_size", 1024),
    ("n_mels", "num_mels", 80), ("fmin", "fmin", 0.0), ("fmax", "fmax", 8000.0),
    ("fmax_loss", "fmax_for_loss", None),
)  # fmt: skip
SAMPLE_RATE = 22050


def companion(path: Path) -> Path:
    """The ``do_`` file that belongs to a ``g_`` file."""
    return path.with_name("do_" + path.name.removeprefix("g_"))


def newest_generator(folder: Path) -> Path | None:
    """The ``g_`` file of the greatest number in a directory."""
    found = [path for path in folder.glob("g_*") if GENERATOR.fullmatch(path.name)]
    if not found:  # the authors' published weights are named so
        return next(iter(sorted(folder.glob("generator_v*"))), None)
    return max(found, key=lambda path: int(path.name[2:]))


def read_official(path: Path, config: Path | Mapping[str, Any] | None = None) -> Voice:
    """A ``g_`` file, and the discriminators where its ``do_`` file lies beside it.

    Args:
        path: of the generator.
        config: its configuration, or the file of it; None: ``config.json`` beside it.

    Raises:
        UserError: missing, damaged, or they do not fit together.
    """
    state = generator_in(path)
    with content_of(path):
        return _official(path, config, state)


def generator_in(path: Path) -> Mapping[str, Any]:
    """The generator's state by official names.

    Raises:
        UserError: the file is damaged, or holds none.
    """
    state = loaded(path).get("generator")
    if not isinstance(state, Mapping):
        raise UserError(
            f"{path}: holds no 'generator'; give an official g_ file, a run, or a model.safetensors."
        )
    return state


def _official(path: Path, config: Path | Mapping[str, Any] | None, state: Mapping[str, Any]) -> Voice:
    spec, mels = read_official_config(path.with_name("config.json") if config is None else config)
    with torch.device("meta"):  # a size that nobody has memory for is found by the shapes
        generator = Generator(spec)
    check_fit(generator, state, source=str(path))
    generator = generator.to_empty(device="cpu")
    load_weights(generator, state, source=str(path))
    return Voice(generator.fused().float().eval(), mels, path, None, _discriminators(path), {})


def _discriminators(path: Path) -> dict[str, Tensor]:
    beside = companion(path)
    if beside == path or not beside.is_file():
        return {}
    content = loaded(beside)
    parts = {part: content.get(part) for part in ("mpd", "msd")}
    if not all(
        isinstance(s, Mapping) and all(isinstance(v, Tensor) for v in s.values()) for s in parts.values()
    ):
        raise UserError(f"{beside}: holds no 'mpd' and 'msd'; it does not belong to {path.name}.")
    return {
        f"{part}.{name}": value for part, state in parts.items() for name, value in dict(state or {}).items()
    }


def loaded(path: Path) -> Mapping[str, Any]:
    """Tensors and plain values only: such a file cannot run code. What has checksums has the right ones."""
    check_regular(path, LIMIT)
    if is_archive(path):  # those of before 2020 are none
        verify_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(f"{path}: not a checkpoint that can be read ({one_line(error)[:160]}).") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{path}: holds no state by names; give an official checkpoint.")
    return content


def official_values(config: Path | Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The content of a ``config.json``, or what stands for it; and its name in messages.

    Raises:
        UserError: missing or damaged.
    """
    if isinstance(config, Mapping):
        return config, "config"
    if not config.is_file():
        raise UserError(
            f"{config}: no such file; the official configuration tells what the weights are (--config)."
        )
    return read_json(config), str(config)


def read_official_config(config: Path | Mapping[str, Any]) -> tuple[Any, Mels]:
    """Generator and mels of a ``config.json``.

    Raises:
        UserError: missing or damaged, or numbers that do not fit.
    """
    values, place = official_values(config)
    known = Fields(values, place)
    rates = [known.integer("upsample_rates")] if is_number(values.get("upsample_rates")) else known.integers(
        "upsample_rates", minimum=1
    )  # fmt: skip
    product = 1
    for rate in rates:
        product *= rate
    mel = {ours: values.get(theirs, default) for ours, theirs, default in MEL_NAMES}
    mel["hop_length"] = product if mel["hop_length"] is None else mel["hop_length"]
    mels = parse_mels(mel, known.integer("sampling_rate", SAMPLE_RATE, minimum=1), place)
    spec = {name: known.raw(name) for name in SPEC}
    spec["resblock"] = str(spec["resblock"])
    return parse_generator(spec, mels, place), mels


def official_config(voice: Voice, *, segment_size: int, optimizer: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``config.json``, with what the official ``train.py`` asks for besides."""
    mel = voice.mels.to_plain()
    betas = (optimizer.get("options") or {}).get("betas", [0.8, 0.99])
    return {
        **voice.generator.spec.to_plain(),
        **{theirs: mel[ours] for ours, theirs, _ in MEL_NAMES},
        "sampling_rate": voice.sample_rate,
        "segment_size": segment_size,
        "num_gpus": 0,
        "batch_size": 16,
        "learning_rate": optimizer["lr"],
        "adam_b1": betas[0],
        "adam_b2": betas[1],
        "lr_decay": 0.999,
        "seed": 1234,
        "num_workers": 4,
        "num_freq": mel["n_fft"] + 1,
        "dist_config": {"dist_backend": "nccl", "dist_url": "tcp://localhost:54321", "world_size": 1},
    }


def write_official(
    path: Path,
    generator: Mapping[str, Tensor],
    others: Mapping[str, Any] | None,
    config: Mapping[str, Any],
) -> list[Path]:
    """Write ``g_``, ``do_`` and ``config.json``, each whole or not at all.

    Args:
        path: of the generator's file, named ``g_`` and a number.
        generator: its state by official names.
        others: content of the ``do_`` file; None: there is none.
        config: content of ``config.json``.
    """
    settings = path.with_name("config.json")
    write_json(settings, config)
    paths = [path, settings]
    if others is not None:
        content = dict(others)
        write_atomically(companion(path), lambda temporary: torch.save(content, temporary))
        paths.append(companion(path))
    state = {"generator": dict(generator)}
    write_atomically(path, lambda temporary: torch.save(state, temporary))
    return paths

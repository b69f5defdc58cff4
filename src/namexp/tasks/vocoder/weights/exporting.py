"""From a run to files that others play: ``model.safetensors``, the official pair, ONNX."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from namexp.engine.checkpoint import load_checkpoint
from namexp.engine.stored import save_verified
from namexp.errors import UserError
from namexp.models.hifigan import Generator
from namexp.models.hifigan.states import load_weights
from namexp.models.hifigan.synthesizer import Synthesizer
from namexp.reading.damage import content_of
from namexp.runs.files import read_json
from namexp.runs.summaries import about_training
from namexp.schema.resuming import stored_config
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.weights.loading import load_voice
from namexp.tasks.vocoder.weights.official import GENERATOR, official_config, write_official
from namexp.tasks.vocoder.weights.onnx import write_onnx
from namexp.tasks.vocoder.weights.single import read_voice, write_voice
from namexp.tasks.vocoder.weights.voice import Voice

log = logging.getLogger(__name__)

FORMATS = ("safetensors", "official", "onnx")
PROBE_FRAMES = 40
TOLERANCE = 1e-6


def save_voice(path: Path, voice: Voice) -> None:
    """Write ``model.safetensors``, verified by what it plays.

    Raises:
        UserError: weights that are not finite, or it plays something else.
    """
    mel = torch.randn(1, voice.mels.input.n_mels, PROBE_FRAMES, generator=torch.Generator().manual_seed(0))

    def difference(file: Path) -> float:
        played = [Synthesizer(v.generator).whole(mel) for v in (voice, read_voice(file))]
        return float((played[0] - played[1]).abs().max())

    save_verified(
        path, voice.generator, voice.source, lambda file: write_voice(file, voice), difference,
        tolerance=TOLERANCE,
    )  # fmt: skip


def export(
    source: Path, output: Path | None, *, format: str | None, discriminators: bool, config: Path | None = None
) -> list[Path]:
    """Export a run, or anything else that plays.

    Args:
        source: whatever ``load_voice`` opens.
        output: the file; None: the run's ``model.safetensors``. The official pair is named ``g_`` and a
            number; of a directory or another name the number is that of the batches learned from.
        format: None: as the name of ``output`` says.
        discriminators: whether ``model.safetensors`` gets them too, to be trained on from.
        config: of an official ``source``; None: ``config.json`` beside it.

    Returns:
        The files, the model first.

    Raises:
        UserError: nothing there that plays, or what a format needs is missing.
    """
    format = format or _format_of(output)
    run = VocoderLayout(source)
    if output is None and not (source.is_dir() and run.config.exists()):
        raise UserError(f"{source}: is no run directory; name the file by -o FILE.")
    checkpoint = run.best_or_last() if source.is_dir() else None
    voice = load_voice(checkpoint or source, config)
    if discriminators and not voice.discriminators:
        raise UserError(f"{voice.source}: has no discriminators to keep; export a run or a checkpoint.")
    if run.summary.exists():
        with content_of(run.summary):
            voice = replace(voice, about={**voice.about, **about_training(read_json(run.summary))})
    if format == "official":
        return _official(voice, output, _batches(voice), run)
    path = output or run.model
    path.parent.mkdir(parents=True, exist_ok=True)
    if format == "onnx":
        write_onnx(path, voice)
    else:
        save_voice(path, voice if discriminators else replace(voice, discriminators={}))
    return [path]


def _format_of(output: Path | None) -> str:
    if output is None or output.suffix == ".safetensors":
        return "safetensors"
    if output.suffix == ".onnx":
        return "onnx"
    if GENERATOR.fullmatch(output.name):
        return "official"
    raise UserError(
        f"-o {output}: says no format: end its name in .safetensors or .onnx, begin it with g_ and a "
        "number, or "
        f"give --format {'|'.join(FORMATS)}."
    )


def _batches(voice: Voice) -> int:
    updates = voice.about.get("updates")
    return updates if isinstance(updates, int) else 0


def _official(voice: Voice, output: Path | None, batches: int, run: VocoderLayout) -> list[Path]:
    """The generator as it was trained where a checkpoint has it so; fused weights stand as g = norm of v.

    Without discriminators there is no second file: the official code would begin with it and fail.
    """
    if output is None:
        raise UserError("--format official needs -o: a directory, or a file named g_ and a number.")
    if not GENERATOR.fullmatch(output.name):
        output = output / f"g_{batches:08d}"
    generator = Generator(voice.generator.spec)
    load_weights(generator, voice.generator.state_dict(), source=str(voice.source))
    others: dict[str, Any] = {
        part: {
            k.removeprefix(f"{part}."): v for k, v in voice.discriminators.items() if k.startswith(f"{part}.")
        }
        for part in ("mpd", "msd")
    }
    optimizer: Mapping[str, Any] = {"lr": 0.0002}
    segment = 8192
    if voice.source.suffix == ".ckpt":
        content = load_checkpoint(voice.source)
        prefix = "network.gan.generator."
        with content_of(voice.source):
            state = content["state_dict"]
            generator.load_state_dict(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )
            states = content["optimizer_states"]
            others |= {
                "optim_g": states[0],
                "optim_d": states[1],
                "steps": batches,
                "epoch": content["epoch"],
            }
    if run.config.exists():
        with content_of(run.config):
            config = stored_config(run.config)
            optimizer, segment = config["optimizer"], config["data"]["segment_size"]
    content_of_config = official_config(voice, segment_size=segment, optimizer=optimizer)
    if not voice.discriminators:
        log.warning(
            "notice: %s has no discriminators, so there is no do_ file: it can play only", voice.source
        )
    return write_official(
        output, generator.state_dict(), others if voice.discriminators else None, content_of_config
    )

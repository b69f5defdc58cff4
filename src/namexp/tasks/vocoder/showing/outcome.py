"""What a finished vocoder looks and sounds like: its worst and its median clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namexp.audio.wav import write_flac
from namexp.engine.task import Shown
from namexp.models.hifigan import Generator
from namexp.schema.callbacks import CallbacksConfig
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.scoring import Scored, ordered, plain, played_clip
from namexp.tasks.vocoder.showing.preview import Heard, picture
from namexp.tracking.tracker import Clip

SECONDS = 12.0  # of each clip


def chosen(clips: Sequence[Scored]) -> dict[str, Scored]:
    """The clips that are shown, by why."""
    by_error = ordered(clips)
    found = {"worst by mel_error": by_error[-1], "median by mel_error": by_error[len(by_error) // 2]}
    return found if len(by_error) > 1 else {"the only clip": by_error[0]}


def declared_clips(clips: Sequence[Scored], wanted: CallbacksConfig) -> list[Mapping[str, Any]]:
    """Their entries in summary.json, before the files are there."""
    return [_entry(why, clip, wanted) for why, clip in chosen(clips).items()]


def _entry(why: str, clip: Scored, wanted: CallbacksConfig) -> Mapping[str, Any]:
    stem = _stem(why)
    files: dict[str, str] = {}
    if wanted.audio:
        files |= {"target": f"audio/{stem}-target.flac", "generated": f"audio/{stem}-generated.flac"}
    if wanted.plots:
        files |= {"picture": f"pictures/{stem}.png"}
    return {"why": why, **plain(clip), **files}


def _stem(why: str) -> str:
    """A file's name from why a clip is shown: clips' own names may be anything."""
    return why.split(" ")[0]


def show(
    layout: VocoderLayout,
    generator: Generator,
    data: SpeechDataModule,
    mels: Mels,
    clips: Sequence[Scored],
    wanted: CallbacksConfig,
) -> Shown:
    """Write and draw what the callbacks group wants; a tracker gets the same.

    Args:
        layout: where it goes.
        generator: as it was exported.
        data: whose clips are played.
        mels: the second is drawn.
        clips: scored.
        wanted: sound, pictures.
    """
    sounds: dict[str, Clip] = {}
    pictures: dict[str, Path] = {}
    rate = mels.input.sample_rate
    for why, clip in chosen(clips).items():
        stem = _stem(why)
        generated, original = played_clip(generator, data, clip.place)
        generated = generated[: round(SECONDS * rate)]
        original = original[: generated.numel()]
        heard = Heard(clip.name, clip.place, _audible(generated), original)
        if wanted.audio:
            _write(layout, stem, heard, rate)
        if wanted.plots:
            path = layout.root / "pictures" / f"{stem}.png"
            error = clip.values["mel_error"]
            picture(path, heard, mels, f"{clip.name}: {why}, {error:.4f}")
            pictures[f"pictures/{stem}"] = path
        caption = f"{clip.name}, {why}"
        sounds[f"audio/{stem}"] = Clip(heard.generated.numpy(), rate, f"{caption}, generated")
        sounds[f"audio/{stem}_target"] = Clip(original.numpy(), rate, caption)
    return Shown(sounds, {key: path for key, path in pictures.items() if path.exists()})


def _audible(samples: Tensor) -> Tensor:
    return torch.nan_to_num(samples).clamp(-1.0, 1.0)


def _write(layout: VocoderLayout, stem: str, heard: Heard, rate: int) -> None:
    for name, samples in (("target", heard.original), ("generated", heard.generated)):
        write_flac(layout.root / "audio" / f"{stem}-{name}.flac", _audible(samples).numpy(), rate, bits=16)

"""What a vocoder achieves on clips that it may never have heard.

Letters: L samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from namexp.audio.mel import log_mel
from namexp.audio.wav import read_wav
from namexp.errors import UserError
from namexp.models.hifigan.synthesizer import Synthesizer
from namexp.tasks.vocoder.metrics import clip_metrics, level_and_polarity
from namexp.tasks.vocoder.weights.loading import load_voice
from namexp.tasks.vocoder.weights.voice import Voice

PEAK = 0.95  # of every clip, as the official validation has it
SUFFIXES = (".wav", ".flac")


def evaluate_clips(model: Path, paths: Sequence[Path], *, config: Path | None = None) -> dict[str, Any]:
    """The metrics of every clip, played from its own mel, and their means.

    Args:
        model: whatever ``load_voice`` opens.
        paths: clips, or directories of them.
        config: an official ``config.json``.

    Returns:
        ``clips``: name and metrics of each; ``mean``: of each metric over the clips.

    Raises:
        UserError: a model or a clip that cannot be used, before the first is played.
    """
    voice = load_voice(model, config)
    files = _files(paths)
    clips = [(path, _clip(path, voice)) for path in files]
    found = []
    for path, audio in tqdm(clips, desc="evaluating", delay=1.0, leave=False):
        found.append({"name": path.stem, **evaluate(voice, audio)})
    return {"clips": found, "mean": {name: _mean(found, name) for name in found[0] if name != "name"}}


@torch.inference_mode()
def evaluate(voice: Voice, audio: Tensor) -> dict[str, float]:
    """The metrics of one clip, (L,) samples."""
    generated = Synthesizer(voice.generator).whole(log_mel(audio[None], voice.mels.input))[0]
    return {
        **clip_metrics(generated, audio, voice.mels),
        **level_and_polarity(generated, audio),
    }


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file()]
        if not inside:
            raise UserError(f"{path}: holds no .wav to evaluate on.")
        found += inside
    return found


def _clip(path: Path, voice: Voice) -> Tensor:
    """(L,) samples at the peak that the official validation has."""
    recording = read_wav(path)
    spec = voice.mels.input
    if recording.sample_rate != spec.sample_rate:
        raise UserError(
            f"{path}: is recorded at {recording.sample_rate} Hz and the model works at {spec.sample_rate} "
            "Hz; "
            "convert the recording to the model's rate."
        )
    if recording.samples.size < spec.least_samples:
        raise UserError(
            f"{path}: has {recording.samples.size} samples and must have at least {spec.least_samples}, "
            "from which "
            "a mel spectrogram can be taken."
        )
    samples = torch.from_numpy(recording.samples)
    peak = float(samples.abs().max())
    return samples / peak * PEAK if peak > 0 else samples


def _mean(clips: Sequence[dict[str, Any]], name: str) -> float:
    values = [clip[name] for clip in clips]
    return math.fsum(values) / len(values)

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
from namexp.models.hifigan.synthesizer import Synthesizer
from namexp.tasks.vocoder.metrics import clip_metrics, level_and_polarity
from namexp.tasks.vocoder.sources import Options, checked, files_in
from namexp.tasks.vocoder.weights.loading import load_voice
from namexp.tasks.vocoder.weights.voice import Voice

PEAK = 0.95  # of every clip, as the official validation has it


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
    files = files_in(paths)
    for path in files:
        checked(path, voice.mels.input, Options(), lossy="refused")
    found = [
        {"name": path.stem, **evaluate(voice, _clip(path))}
        for path in tqdm(files, desc="evaluating", delay=1.0, leave=False)
    ]
    return {"clips": found, "mean": {name: _mean(found, name) for name in found[0] if name != "name"}}


@torch.inference_mode()
def evaluate(voice: Voice, audio: Tensor) -> dict[str, float]:
    """The metrics of one clip, (L,) samples."""
    generated = Synthesizer(voice.generator).whole(log_mel(audio[None], voice.mels.input))[0]
    return {
        **clip_metrics(generated, audio, voice.mels),
        **level_and_polarity(generated, audio),
    }


def _clip(path: Path) -> Tensor:
    """(L,) samples at the peak that the official validation has."""
    samples = torch.from_numpy(read_wav(path).samples)
    peak = float(samples.abs().max())
    return samples / peak * PEAK if peak > 0 else samples


def _mean(clips: Sequence[dict[str, Any]], name: str) -> float:
    values = [clip[name] for clip in clips]
    return math.fsum(values) / len(values)

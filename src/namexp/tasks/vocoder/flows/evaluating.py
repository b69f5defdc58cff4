"""How likely clips are under a flow, as the official evaluation measures it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from namexp.audio.wav import read_wav
from namexp.errors import UserError
from namexp.runs.files import read_json
from namexp.tasks.vocoder.flows.likelihood import clip_likelihood, whole_length
from namexp.tasks.vocoder.flows.voice import FlowVoice, load_flow
from namexp.tasks.vocoder.layout import VocoderLayout

SUFFIXES = (".wav", ".flac")


def evaluate_clips(model: Path, paths: Sequence[Path], *, reference: str | None = None) -> dict[str, Any]:
    """The log-likelihood of every clip, in nats a sample, in float32, one clip at a time; and the mean.

    Args:
        model: whatever ``load_flow`` opens.
        paths: clips, or directories of them.
        reference: what ``ll_gain`` counts from: a number, or a run directory.

    Raises:
        UserError: a model or a clip that cannot be used, before the first is looked at.
    """
    voice = load_flow(model)
    before = None if reference is None else _reference(reference)
    clips = [(path, _clip(path, voice)) for path in _files(paths)]
    found = [
        {"name": path.stem, **clip_likelihood(voice.network, audio, voice.mels.input)._asdict()}
        for path, audio in tqdm(clips, desc="evaluating", delay=1.0, leave=False)
    ]
    mean = {n: math.fsum(clip[n] for clip in found) / len(found) for n in found[0] if n != "name"}
    result: dict[str, Any] = {"clips": found, "mean": mean, "ll": mean["ll"]}
    return result if before is None else {**result, "ll_gain": mean["ll"] - before}


def _reference(given: str) -> float:
    try:
        return float(given)
    except ValueError:
        pass
    summary = read_json(VocoderLayout(Path(given)).summary)
    try:
        return float(summary["submodels"][0]["ll"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise UserError(
            f"--reference {given}: its summary.json has no ll; give a number or a flow's run."
        ) from None


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


def _clip(path: Path, voice: FlowVoice) -> torch.Tensor:
    """(T,) samples as they are: a flow knows loudness."""
    recording, spec = read_wav(path), voice.mels.input
    if recording.sample_rate != spec.sample_rate:
        raise UserError(
            f"{path}: is recorded at {recording.sample_rate} Hz and the model works at {spec.sample_rate} "
            "Hz; "
            "convert the recording to the model's rate."
        )
    samples = torch.from_numpy(recording.samples)
    if whole_length(samples.numel(), voice.network) < spec.least_samples:
        raise UserError(
            f"{path}: has {samples.numel()} samples, and too few are left of whole frames; at least "
            f"{spec.least_samples + spec.hop_length} are needed."
        )
    return samples

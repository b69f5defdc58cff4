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
from namexp.tasks.vocoder.flows.latents import write_latent
from namexp.tasks.vocoder.flows.likelihood import clip_latent, whole_length
from namexp.tasks.vocoder.flows.voice import FlowVoice
from namexp.tasks.vocoder.layout import VocoderLayout
from namexp.tasks.vocoder.sources import Options, checked, files_in, refuse_same_names


def evaluate_clips(
    voice: FlowVoice, paths: Sequence[Path], *, reference: str | None = None, latents: Path | None = None
) -> dict[str, Any]:
    """The log-likelihood of every clip, in nats a sample, in float32, one clip at a time; and the mean.

    Args:
        voice: the flow.
        paths: clips, or directories of them.
        reference: what ``ll_gain`` counts from: a number, or a run directory.
        latents: a directory that gets the noise of every clip, ``<name>.npy``.

    Raises:
        UserError: a model or a clip that cannot be used, before the first is looked at.
    """
    before = None if reference is None else _reference(reference)
    files = files_in(paths)
    for path in files:
        _check(path, voice)
    if latents is not None:
        refuse_same_names(files, "{}.npy")
    found = []
    for path in tqdm(files, desc="evaluating", delay=1.0, leave=False):
        z, likelihood = clip_latent(voice.network, _clip(path), voice.mels.input)
        found.append({"name": path.stem, **likelihood._asdict()})
        if latents is not None:
            write_latent(latents / f"{path.stem}.npy", z)
    mean = {n: math.fsum(clip[n] for clip in found) / len(found) for n in found[0] if n != "name"}
    result: dict[str, Any] = {"clips": found, "mean": mean, "ll": mean["ll"]}
    return result if before is None else {**result, "ll_gain": mean["ll"] - before}


def _reference(given: str) -> float:
    if not Path(given).is_dir():
        try:
            return float(given)
        except ValueError:
            raise UserError(f"--reference {given}: is neither a number nor a run directory.") from None
    summary = read_json(VocoderLayout(Path(given)).summary)
    try:
        return float(summary["submodels"][0]["ll"])
    except (KeyError, IndexError, TypeError, ValueError):
        raise UserError(
            f"--reference {given}: its summary.json has no ll; give a number or a flow's run."
        ) from None


def _check(path: Path, voice: FlowVoice) -> None:
    spec = voice.mels.input
    samples = checked(path, spec, Options(), lossy="refused").samples or 0
    if whole_length(samples, voice.network) < spec.least_samples:
        raise UserError(
            f"{path}: has {samples} samples, and too few are left of whole frames; at least "
            f"{spec.least_samples + spec.hop_length} are needed."
        )


def _clip(path: Path) -> torch.Tensor:
    """(T,) samples as they are: a flow knows loudness."""
    return torch.from_numpy(read_wav(path).samples)

"""Audio from noise, given a mel.

Letters: T samples, M mels, F frames, h rows, W columns.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from namexp.models.waveflow import Noise, Synthesizer, WaveFlow

WHOLE_SAMPLES = 1 << 22  # a stream must know half a minute of what follows: short clips are faster at once


def playable_samples(model: WaveFlow, frames: int) -> int:
    """Whole columns within the hops between so many centred frames."""
    h = model.spec.n_height
    return (frames - 1) * model.spec.hop_length // h * h


class Latent(Protocol):
    """What becomes audio, column by column: drawn noise, or what is stored."""

    def columns(self, num_columns: int) -> Tensor:
        """The next (1, 1, h, W) on the CPU."""


def synthesised(model: WaveFlow, mel: Tensor, num_samples: int, *, temperature: float, seed: int) -> Tensor:
    """(T,) audio of a (M, F) log mel."""
    return _played(
        model.synthesizer(), mel, num_samples, Noise(model.spec.n_height, seed=seed, temperature=temperature)
    )


@torch.no_grad()
def _played(synthesizer: Synthesizer, mel: Tensor, num_samples: int, latent: Latent) -> Tensor:
    audio: Tensor = synthesizer(latent.columns(num_samples // synthesizer.spec.n_height), mel[None])[0]
    return audio


def in_pieces(
    synthesizer: Synthesizer, mels: Iterable[Tensor], num_samples: int, latent: Latent
) -> Iterator[Tensor]:
    """(T,) audio of a mel that comes in (M, f) pieces; of a long one in constant memory.

    Raises:
        UserError: less mel than the samples need.
    """
    if num_samples <= WHOLE_SAMPLES:
        yield _played(synthesizer, torch.cat(list(mels), dim=1), num_samples, latent)
        return
    h, hop = synthesizer.spec.n_height, synthesizer.spec.hop_length
    left = num_samples // h

    def chunks() -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal left
        for mel in mels:
            columns = min(left, mel.shape[1] * hop // h)
            left -= columns
            yield mel[None], latent.columns(columns)
        yield torch.zeros(1, synthesizer.spec.n_mels, 0), latent.columns(left)

    for piece in synthesizer.pieces(chunks()):
        yield piece[0]


@torch.no_grad()
def speed(
    model: WaveFlow, sample_rate: int, *, seconds: float, rounds: int = 1
) -> tuple[float, float, float]:
    """(audio, CPU, wall) seconds of synthesis, the best of several rounds, after one that does not count."""
    frames = max(2, int(seconds * sample_rate / model.spec.hop_length) + 1)
    num_samples = playable_samples(model, frames)
    mel = torch.zeros(1, model.spec.n_mels, frames) - 5.0
    z = Noise(model.spec.n_height, seed=0).columns(num_samples // model.spec.n_height)
    synthesizer = model.synthesizer()
    synthesizer(z, mel)
    cpu, wall = [], []
    for _ in range(rounds):
        c, w = time.process_time(), time.perf_counter()
        synthesizer(z, mel)
        cpu.append(time.process_time() - c)
        wall.append(time.perf_counter() - w)
    return num_samples / sample_rate, min(cpu), min(wall)

"""Audio from noise, given a mel.

Letters: T samples, M mels, F frames, h rows, W columns.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from namexp.models.waveflow import WaveFlow
from namexp.models.waveflow.noise import Noise

WHOLE_SAMPLES = 1 << 22  # a stream must know half a minute of what follows: short clips are faster at once


def playable_samples(model: WaveFlow, frames: int) -> int:
    """Whole columns within the hops between so many centred frames."""
    h = model.spec.n_height
    return (frames - 1) * model.spec.hop_length // h * h


@torch.no_grad()
def synthesised(model: WaveFlow, mel: Tensor, num_samples: int, *, temperature: float, seed: int) -> Tensor:
    """(T,) audio of a (M, F) log mel."""
    h = model.spec.n_height
    z = Noise(h, seed=seed, temperature=temperature).columns(num_samples // h)
    audio: Tensor = model.synthesizer()(z, mel[None])[0]
    return audio


def in_pieces(
    model: WaveFlow, mels: Iterable[Tensor], num_samples: int, *, temperature: float, seed: int
) -> Iterator[Tensor]:
    """The same (T,) audio of a mel that comes in (M, f) pieces; of a long one in constant memory.

    Raises:
        UserError: less mel than the samples need.
    """
    if num_samples <= WHOLE_SAMPLES:
        whole = torch.cat(list(mels), dim=1)
        yield synthesised(model, whole, num_samples, temperature=temperature, seed=seed)
        return
    h, hop = model.spec.n_height, model.spec.hop_length
    noise, left = Noise(h, seed=seed, temperature=temperature), num_samples // h

    def chunks() -> Iterator[tuple[Tensor, Tensor]]:
        nonlocal left
        for mel in mels:
            columns = min(left, mel.shape[1] * hop // h)
            left -= columns
            yield mel[None], noise.columns(columns)
        yield torch.zeros(1, model.spec.n_mels, 0), noise.columns(left)

    for piece in model.synthesizer().pieces(chunks()):
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

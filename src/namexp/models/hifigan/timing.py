"""How fast a generator plays, here and now."""

from __future__ import annotations

import sys
import time
from typing import NamedTuple

import torch

from namexp.models.hifigan.generator import Generator
from namexp.models.hifigan.synthesizer import Synthesizer


class Timing(NamedTuple):
    """Of one clip, the best of several rounds.

    Attributes:
        audio_seconds: that were made.
        cpu_seconds: of all threads together.
        wall_seconds: that passed.
    """

    audio_seconds: float
    cpu_seconds: float
    wall_seconds: float


def timed(generator: Generator, *, sample_rate: int, seconds: float, rounds: int, threads: int) -> Timing:
    """Play so many seconds of random frames, after one round that does not count."""
    spec = generator.spec
    frames = max(1, int(seconds * sample_rate / spec.hop_length))
    mel = torch.randn(1, spec.n_mels, frames, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        synthesizer = Synthesizer(generator)
        synthesizer.whole(mel)
        taken = [_one(synthesizer, mel) for _ in range(rounds)]
    finally:
        torch.set_num_threads(before)
    cpu, wall = (min(values) for values in zip(*taken, strict=True))
    return Timing(frames * spec.hop_length / sample_rate, cpu, wall)


def _one(synthesizer: Synthesizer, mel: torch.Tensor) -> tuple[float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    synthesizer.whole(mel)
    return time.process_time() - cpu, time.perf_counter() - wall


def max_rss_mb() -> float | None:
    """The most memory that this process has held, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10

"""A few seconds of the validation part: what is listened to while a network learns.

Letters: L samples, R receptive field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from namexp.audio.wav import Samples
from namexp.tasks.capture.data.recordings import Recordings

HOPS_PER_SECOND = 10
SOUNDING = 0.1  # of the mean energy: quieter stretches tell little


@dataclass(frozen=True)
class Excerpt:
    """A stretch of the first validation recording.

    Attributes:
        context: (L + R - 1,) input, from R - 1 samples before the stretch: what a network needs.
        target: (L,) what it should answer, at the level of training.
        start: its first sample, counted in the part that is scored.
        sample_rate: Hz.
        target_scale: what the level of the recording was multiplied by.
    """

    context: Samples
    target: Samples
    start: int
    sample_rate: int
    target_scale: float

    @property
    def input(self) -> Samples:
        """(L,) input that sounds together with the target."""
        return self.context[self.context.size - self.target.size :]

    @property
    def stretch(self) -> slice:
        """Where it lies in a prediction of the whole scored part."""
        return slice(self.start, self.start + self.target.size)


def choose_excerpt(recordings: Recordings, *, receptive_field: int, seconds: float) -> Excerpt:
    """The stretch of median loudness among those that sound: typical, neither a pause nor an extreme.

    Args:
        recordings: with at least one validation part.
        receptive_field: R of the network.
        seconds: of the stretch; a shorter validation part is taken whole.
    """
    part = recordings.validation[0]
    scored = part.target[receptive_field - 1 :]
    length = min(scored.size, max(1, round(seconds * recordings.sample_rate)))
    start = _typical(scored, length, max(1, recordings.sample_rate // HOPS_PER_SECOND))
    return Excerpt(
        context=part.input[start : start + length + receptive_field - 1],
        target=scored[start : start + length],
        start=start,
        sample_rate=recordings.sample_rate,
        target_scale=recordings.target_scale,
    )


def _typical(target: Samples, length: int, hop: int) -> int:
    """First sample of the stretch; the earliest where several are alike."""
    starts = np.arange(0, target.size - length + 1, hop)
    until = np.concatenate([[0.0], np.cumsum(target.astype(np.float64) ** 2)])
    energy = until[starts + length] - until[starts]
    sounding = np.flatnonzero(energy >= SOUNDING * energy.mean())
    order = np.argsort(energy[sounding], kind="stable")
    return int(starts[sounding[order[(sounding.size - 1) // 2]]])

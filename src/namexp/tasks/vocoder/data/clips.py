"""The samples of clips, decoded when they are needed and kept as long as there is room.

Letters: T samples of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from namexp.audio.speech import embedded_speech
from namexp.audio.wav import Samples, read_wav
from namexp.data.utterances import Utterance

PEAK = 0.95
FULL_SCALE = 2**15


class Clips:
    """Clips by their index. It is pickled without what it keeps: other processes decode their own.

    Attributes:
        utterances: what they are.
    """

    def __init__(
        self,
        utterances: Sequence[Utterance],
        *,
        sample_rate: int,
        peak_normalized: bool,
        cache_bytes: int = 0,
    ) -> None:
        """Take the names of clips.

        Args:
            utterances: in the order of their indices.
            sample_rate: of all.
            peak_normalized: whether each clip is brought to a peak of 0.95; one that is silent stays it.
            cache_bytes: of decoded clips that stay in memory; further ones are decoded each time.
        """
        self.utterances = tuple(utterances)
        self._sample_rate, self._peak_normalized = sample_rate, peak_normalized
        self._room = cache_bytes
        self._kept: dict[int, NDArray[np.int16] | Samples] = {}
        self._peaks: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self.utterances)

    def __getstate__(self) -> dict[str, object]:
        kept = sum(samples.nbytes for samples in self._kept.values())
        return {**self.__dict__, "_kept": {}, "_room": self._room + kept}

    def cut(self, index: int, start: int = 0, length: int | None = None) -> Samples:
        """(length,) float32 samples from ``start`` on, zeros where the clip has ended; None: to its end.

        Raises:
            UserError: the file cannot be decoded.
        """
        samples = self._decoded(index)
        stop = samples.size if length is None else start + length
        part = samples[start:stop].astype(np.float64)
        if samples.dtype == np.int16:
            part /= FULL_SCALE
        if self._peak_normalized:
            part = part / self._peak(index, samples) * PEAK  # in this order, as the official code rounds
        if part.size < stop - start:
            part = np.pad(part, (0, stop - start - part.size))
        return part.astype(np.float32)

    def _peak(self, index: int, samples: NDArray[np.int16] | Samples) -> float:
        if index not in self._peaks:
            # not abs: that of -32768 is no int16
            peak = max(float(samples.max()), -float(samples.min()))
            self._peaks[index] = (peak / FULL_SCALE if samples.dtype == np.int16 else peak) or 1.0
        return self._peaks[index]

    def _decoded(self, index: int) -> NDArray[np.int16] | Samples:
        if index in self._kept:
            return self._kept[index]
        utterance = self.utterances[index]
        if utterance.path is None:
            return self._embedded(utterance.name)
        samples = _small(read_wav(utterance.path).samples)
        if samples.nbytes <= self._room:
            self._room -= samples.nbytes
            self._kept[index] = samples
        return samples

    def _embedded(self, name: str) -> Samples:
        parts = embedded_speech(self._sample_rate).parts.values()
        return next(clips[name] for clips in parts if name in clips)


def _small(samples: Samples) -> NDArray[np.int16] | Samples:
    """As 16 bits where nothing is lost by it."""
    scaled = samples * np.float32(FULL_SCALE)  # exact: a power of two
    rounded = np.rint(scaled)
    fits = scaled.min() >= -FULL_SCALE and scaled.max() < FULL_SCALE and np.array_equal(rounded, scaled)
    return rounded.astype(np.int16) if fits else samples

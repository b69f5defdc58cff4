"""The mel scale: what a mel spectrogram is in numbers, and its filter bank.

Letters: M mels, K frequencies.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

LINEAR_BELOW_HZ = 1000.0  # Slaney's scale is linear up to here, logarithmic above
MELS_PER_HZ = 3.0 / 200.0
MELS_PER_LOG_HZ = 27.0 / np.log(6.4)


class MelSpec(NamedTuple):
    """A mel spectrogram, in numbers.

    Attributes:
        sample_rate: Hz.
        n_fft: points of the FFT.
        hop_length: samples from frame to frame.
        win_length: samples of the Hann window.
        n_mels: M.
        fmin: Hz where the lowest filter begins.
        fmax: Hz where the highest one ends; None: half of the sample rate.
        centered: whether frames are centred on whole hops, of magnitudes as they are (Tacotron's); else they
            lie between, with a trace of power (HiFi-GAN's).
    """

    sample_rate: int = 22050
    n_fft: int = 1024
    hop_length: int = 256
    win_length: int = 1024
    n_mels: int = 80
    fmin: float = 0.0
    fmax: float | None = 8000.0
    centered: bool = False

    @property
    def top(self) -> float:
        """Hz where the highest filter ends."""
        return self.sample_rate / 2 if self.fmax is None else self.fmax

    @property
    def padding(self) -> int:
        """Samples that are reflected at either end."""
        return self.n_fft // 2 if self.centered else (self.n_fft - self.hop_length) // 2

    def frames(self, num_samples: int) -> int:
        """Of so many samples: as many as whole hops, and one more where they are centred."""
        return num_samples // self.hop_length + self.centered

    @property
    def least_samples(self) -> int:
        """Of a signal: fewer cannot be reflected."""
        return self.padding + 1


def hz_to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slaney's scale, as in the Auditory Toolbox (1998)."""
    above = np.maximum(hz, LINEAR_BELOW_HZ) / LINEAR_BELOW_HZ
    mels: NDArray[np.float64] = np.where(
        hz < LINEAR_BELOW_HZ,
        hz * MELS_PER_HZ,
        LINEAR_BELOW_HZ * MELS_PER_HZ + MELS_PER_LOG_HZ * np.log(above),
    )
    return mels


def mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of ``hz_to_mel``."""
    border = LINEAR_BELOW_HZ * MELS_PER_HZ
    above = LINEAR_BELOW_HZ * np.exp((np.maximum(mel, border) - border) / MELS_PER_LOG_HZ)
    hz: NDArray[np.float64] = np.where(mel < border, mel / MELS_PER_HZ, above)
    return hz


@cache
def filter_bank(spec: MelSpec) -> NDArray[np.float32]:
    """(M, K) triangles of area 1 (in bins of Hz), from ``fmin`` to ``fmax``; not to be written to.

    Source: Slaney's area normalisation; the values are those of ``librosa.filters.mel``.
    """
    ends = hz_to_mel(np.array([spec.fmin, spec.top]))
    points = mel_to_hz(np.linspace(ends[0], ends[1], spec.n_mels + 2))
    frequencies = np.linspace(0.0, spec.sample_rate / 2, spec.n_fft // 2 + 1)
    widths = np.diff(points)[:, None]
    rising = (frequencies - points[:-2, None]) / widths[:-1]
    falling = (points[2:, None] - frequencies) / widths[1:]
    bank = np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (points[2:] - points[:-2]))[:, None]
    result = bank.astype(np.float32)
    result.setflags(write=False)
    return result

"""The signal that loudness and gain in a file's metadata are measured with.

The peer measures them with a recording of its own: one second of pink noise. This one is made from
a seed to the same figures (level, energy per band, distribution), so that the values in our files
compare with those in others.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 48000
NUM_SAMPLES = 48000
RMS_DBFS = -14.968
MEAN = -0.0397
SEED = 214  # of 3000, the nearest to the peak, block levels and percentiles of the peer's signal
# (upper edge in Hz, energy in dB relative to the total) of each band; the first one holds the mean.
BANDS = (
    (40, -4.2), (80, -11.0), (160, -12.1), (320, -11.8), (640, -11.8), (1280, -11.1),
    (2560, -11.9), (5120, -11.7), (10240, -12.1), (24000, -11.3),
)  # fmt: skip


@lru_cache(maxsize=1)
def loudness_signal() -> NDArray[np.float32]:
    """(48000,) samples at 48 kHz: Gaussian pink noise, RMS -14.968 dBFS."""
    random = np.random.RandomState(SEED)  # a frozen generator: the same numbers for ever
    total = NUM_SAMPLES * 10.0 ** (RMS_DBFS / 10.0)
    spectrum = np.zeros(NUM_SAMPLES // 2 + 1, dtype=np.complex128)
    lower = 1
    for upper, level_db in BANDS:
        bins = np.arange(lower, upper + 1)
        energy = total * 10.0 ** (level_db / 10.0)
        if lower == 1:
            energy -= NUM_SAMPLES * MEAN**2
        noise = random.standard_normal((2, bins.size)) / np.sqrt(bins)
        band = noise[0] + 1j * noise[1]
        # Parseval: energy in time = 2 / N times that of the positive frequencies
        spectrum[bins] = band * np.sqrt(energy * NUM_SAMPLES / 2.0 / np.sum(np.abs(band) ** 2))
        lower = upper + 1
    spectrum[0] = MEAN * NUM_SAMPLES
    signal = np.fft.irfft(spectrum, NUM_SAMPLES)
    signal *= np.sqrt(total / np.sum(signal**2))  # the listed bands add up to within 0.1 dB
    return signal.astype(np.float32)

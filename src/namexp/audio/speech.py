"""The embedded speech-like set: a voice that is computed, made from a seed.

A train of glottal pulses and noise goes through formants that move from vowel to vowel; fricatives and
pauses stand between them. Nobody says anything, but it has what a vocoder must learn: pitch, formants, noise,
silence. Everything follows from fixed numbers with a frozen random generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from namexp.audio.wav import Samples

Signal = NDArray[np.float64]

SEED = 1867  # Helmholtz' vowels
NUM_CLIPS = {"train": 24, "validation": 4}
SECONDS = (1.0, 2.0)
PITCH_HZ = (110.0, 230.0)
FULL_SCALE = 2**15
# first four formants of vowels, Hz
VOWELS = (
    (730.0, 1090.0, 2440.0, 3500.0), (270.0, 2290.0, 3010.0, 3700.0), (300.0, 870.0, 2240.0, 3300.0),
    (530.0, 1840.0, 2480.0, 3600.0), (570.0, 840.0, 2410.0, 3400.0), (490.0, 1350.0, 1690.0, 3300.0),
)  # fmt: skip
BANDWIDTHS = (80.0, 100.0, 140.0, 200.0)
FRICATIVES_HZ = ((2500.0, 1200.0), (4500.0, 1500.0), (6500.0, 2500.0))  # centre and width of the noise


class EmbeddedSpeech(NamedTuple):
    """Clips by part and name: (L,) samples each."""

    train: Mapping[str, Samples]
    validation: Mapping[str, Samples]

    @property
    def parts(self) -> dict[str, Mapping[str, Samples]]:
        """Both by their names."""
        return {"train": self.train, "validation": self.validation}


@lru_cache(maxsize=2)
def embedded_speech(sample_rate: int) -> EmbeddedSpeech:
    """24 clips to train on and 4 to validate, 1 to 2 s each, 16 bits."""
    random = np.random.RandomState(SEED)
    parts = {
        part: {f"embedded-{part}-{i:02}": _clip(random, sample_rate) for i in range(count)}
        for part, count in NUM_CLIPS.items()
    }
    return EmbeddedSpeech(**parts)


def _clip(random: np.random.RandomState, sample_rate: int) -> Samples:
    """Syllables until its time is up, with a little room noise, at a level of its own."""
    length = int(random.uniform(*SECONDS) * sample_rate)
    pitch = random.uniform(*PITCH_HZ)
    pieces: list[Signal] = []
    vowel = random.randint(len(VOWELS))
    while sum(piece.size for piece in pieces) < length:
        kind = random.choice(["voiced", "voiced", "voiced", "fricative", "pause"])
        if kind == "voiced":
            following = random.randint(len(VOWELS))
            pieces.append(_voiced(random, sample_rate, pitch, (VOWELS[vowel], VOWELS[following])))
            vowel = following
        elif kind == "fricative":
            pieces.append(_fricative(random, sample_rate))
        else:
            pieces.append(np.zeros(int(random.uniform(0.04, 0.15) * sample_rate)))
    signal = np.concatenate(pieces)[:length]
    signal *= random.uniform(0.3, 0.9) / np.abs(signal).max()
    signal += 10.0 ** (-65.0 / 20.0) * random.standard_normal(length)
    return (np.round(signal * FULL_SCALE) / FULL_SCALE).astype(np.float32)


def _voiced(
    random: np.random.RandomState, sample_rate: int, pitch: float, vowels: tuple[tuple[float, ...], ...]
) -> Signal:
    """Pulses through formants that glide from the first vowel to the second.

    Every harmonic is a sine whose amplitude is the gain of the formants at its frequency: Klatt's cascade,
    solved for what it does to harmonics.
    """
    n = int(random.uniform(0.12, 0.35) * sample_rate)
    time = np.arange(n) / sample_rate
    glide = random.uniform(0.8, 1.25) ** np.linspace(-0.5, 0.5, n)
    vibrato = 1.0 + 0.015 * np.sin(2.0 * np.pi * 5.5 * time + random.uniform(0.0, 2.0 * np.pi))
    f0 = pitch * glide * vibrato
    phase = 2.0 * np.pi * np.cumsum(f0) / sample_rate
    blend = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0.0, 1.0, n))
    # the gains move slowly: every 64th sample is enough
    knots = np.arange(0, n + 63, 64).clip(max=n - 1)
    formants = [(1.0 - blend[knots]) * a + blend[knots] * b for a, b in zip(*vowels, strict=True)]
    signal = np.zeros(n)
    for harmonic in range(1, int(min(5000.0, 0.45 * sample_rate) / f0.max()) + 1):
        gain = (
            _formant_gain(harmonic * f0[knots], formants) / harmonic
        )  # a glottal pulse falls by 6 dB/octave
        signal += np.interp(np.arange(n), knots, gain) * np.sin(harmonic * phase)
    breath = random.standard_normal(n) * (0.03 + 0.03 * np.maximum(0.0, np.sin(phase)))
    return _faded(signal / np.abs(signal).max() + breath, sample_rate) * random.uniform(0.5, 1.0)


def _formant_gain(hz: Signal, formants: list[Signal]) -> Signal:
    """Of resonances in series, each 1 at 0 Hz."""
    gain = np.ones_like(hz)
    for centre, bandwidth in zip(formants, BANDWIDTHS, strict=True):
        gain *= centre**2 / np.hypot(centre**2 - hz**2, bandwidth * hz)
    return gain


def _fricative(random: np.random.RandomState, sample_rate: int) -> Signal:
    """Noise in a band."""
    n = int(random.uniform(0.06, 0.16) * sample_rate)
    centre, width = FRICATIVES_HZ[random.randint(len(FRICATIVES_HZ))]
    hz = np.fft.rfftfreq(n, 1.0 / sample_rate)
    band = np.exp(-0.5 * ((hz - centre) / width) ** 2)
    noise = np.fft.irfft(np.fft.rfft(random.standard_normal(n)) * band, n)
    return _faded(noise / np.abs(noise).max(), sample_rate) * random.uniform(0.1, 0.3)


def _faded(signal: Signal, sample_rate: int) -> Signal:
    """In and out within 10 ms."""
    fade = min(signal.size // 2, sample_rate // 100)
    slope = 0.5 - 0.5 * np.cos(np.pi * np.arange(fade) / max(1, fade))
    signal[:fade] *= slope
    signal[signal.size - fade :] *= slope[::-1]
    return signal

"""The worst and the median second of what a model plays, small enough to draw in a page.

Letters: L samples.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from namexp.audio.wav import Samples

Floats = NDArray[np.float64]

SILENCE = 1e-4  # of the recording's mean power (-40 dB): quieter seconds are left out
COLUMNS = 360  # of the drawn waveform
ZOOM_SECONDS = 0.012
BANDS, FRAMES = 56, 110  # of the drawn spectrogram
HEADROOM = 1.25  # above the target's peak; a prediction that goes higher is cut off there
N_FFT = 2048
LOWEST_HZ = 50.0
RANGE_DB, STEP_DB = 75.0, 2.5  # what a spectrogram shows, and how finely


@dataclass(frozen=True)
class Second:
    """One second of the recording: ``start`` and ``stop`` in samples, and its own ESR."""

    start: int
    stop: int
    esr: float


def seconds(target: Samples, prediction: Samples, sample_rate: int) -> list[Second]:
    """Every whole second that sounds, with its ESR.

    A second is silent where its power is below 1/10000 of the recording's mean power. A recording
    shorter than a second is one second.

    Args:
        target: (L,) what should be heard.
        prediction: (L,) what the model plays.
        sample_rate: Hz.
    """
    width = min(sample_rate, target.size)
    if not width:
        return []
    count, found = target.size // width, []
    wanted = target[: count * width].astype(np.float64).reshape(count, -1)
    played = prediction[: count * width].astype(np.float64).reshape(count, -1)
    power = (wanted**2).sum(axis=1)
    error = ((played - wanted) ** 2).sum(axis=1)
    threshold = SILENCE * power.mean()
    for i in range(count):
        if power[i] > 0.0 and power[i] >= threshold:
            found.append(Second(i * width, (i + 1) * width, float(error[i] / power[i])))
    return found


def worst_and_median(found: list[Second]) -> tuple[Second, Second] | None:
    """The second with the highest ESR and the (lower) median one; None where nothing sounds."""
    if not found:
        return None
    ordered = sorted(found, key=lambda second: second.esr)
    return ordered[-1], ordered[(len(ordered) - 1) // 2]


# --- drawn ----------------------------------------------------------------------------------------


def envelope(samples: Samples, full_scale: float) -> NDArray[np.int8]:
    """(2, COLUMNS) lowest and highest sample of each column, full scale = 127."""
    starts = np.linspace(0, samples.size, COLUMNS, endpoint=False).astype(int)
    rows = [extreme.reduceat(samples, starts) for extreme in (np.minimum, np.maximum)]
    return _int8(np.stack(rows), full_scale)


def _int8(values: NDArray[np.floating], full_scale: float) -> NDArray[np.int8]:
    return np.clip(np.round(values * (127.0 / full_scale)), -127, 127).astype(np.int8)


def zoom_start(error: Samples, width: int) -> int:
    """Where the ``width`` samples with the most error begin."""
    if error.size <= width:
        return 0
    sums = np.concatenate([[0.0], np.cumsum(error.astype(np.float64) ** 2)])
    return int(np.argmax(sums[width:] - sums[:-width]))


def spectrogram(samples: Samples, sample_rate: int) -> Floats:
    """(BANDS, FRAMES) power in bands of equal width on a logarithmic scale from 50 Hz.

    Hann windows of 2048 samples; a band narrower than a bin has the power of the nearest bin.
    """
    padded = np.pad(samples, N_FFT // 2)
    starts = np.linspace(0, max(0, samples.size - 1), FRAMES).astype(int)
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[starts]
    spectrum = np.fft.rfft(frames * np.hanning(N_FFT).astype(np.float32))
    power = spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2
    edges = np.geomspace(LOWEST_HZ, sample_rate / 2, BANDS + 1) * N_FFT / sample_rate
    low = np.clip(np.round(edges[:-1]).astype(int), 0, N_FFT // 2)
    high = np.clip(np.maximum(np.round(edges[1:]).astype(int), low + 1), 1, N_FFT // 2 + 1)
    cumulated = np.concatenate([np.zeros((FRAMES, 1)), np.cumsum(power, axis=1)], axis=1)
    return ((cumulated[:, high] - cumulated[:, low]) / (high - low)).T


def quantised(power: Floats, reference: float) -> NDArray[np.uint8]:
    """Levels in steps of 2.5 dB: 0 is 75 dB or more below ``reference``, 30 is ``reference``."""
    level = 10.0 * np.log10(np.maximum(power, 1e-300) / reference)
    return np.round(np.clip(level + RANGE_DB, 0.0, RANGE_DB) / STEP_DB).astype(np.uint8)


@dataclass(frozen=True)
class Drawing:
    """One second as the page draws it: deflated bytes, and what they mean.

    Attributes:
        start_seconds: from the beginning of the listening material.
        seconds: its length.
        esr: of this second.
        peak: amplitude that 127 stands for.
        zoom_ms: where the close-up begins in the second, and how long it is.
        zoom_samples: its length.
        target: envelope and spectrogram of the target. The same second of the same recording has
            the same bytes in every run.
        prediction: envelope of the prediction, close-ups of the target and of it, its spectrogram
            and that of the error.
    """

    start_seconds: float
    seconds: float
    esr: float
    peak: float
    zoom_ms: tuple[float, float]
    zoom_samples: int
    target: bytes
    prediction: bytes


def draw(target: Samples, prediction: Samples, sample_rate: int, second: Second) -> Drawing:
    """Reduce one second to what can be seen of it."""
    wanted, played = target[second.start : second.stop], prediction[second.start : second.stop]
    error = played - wanted
    peak = HEADROOM * float(np.abs(wanted).max())  # the target's, so that it looks alike everywhere
    width = min(round(ZOOM_SECONDS * sample_rate), wanted.size)
    at = zoom_start(error, width)
    close = slice(at, at + width)
    spectra = [spectrogram(s, sample_rate) for s in (wanted, played, error)]
    reference = max(float(spectra[0].max()), 1e-30)
    levels = [quantised(s, reference).tobytes() for s in spectra]
    closeups = [_int8(s[close], peak).tobytes() for s in (wanted, played)]
    return Drawing(
        start_seconds=second.start / sample_rate,
        seconds=(second.stop - second.start) / sample_rate,
        esr=second.esr,
        peak=peak,
        zoom_ms=(1000.0 * at / sample_rate, 1000.0 * width / sample_rate),
        zoom_samples=width,
        target=zlib.compress(envelope(wanted, peak).tobytes() + levels[0], 6),
        prediction=zlib.compress(b"".join([envelope(played, peak).tobytes(), *closeups, *levels[1:]]), 6),
    )

"""The embedded recording: a plucked-string guitar through an analogue-style amp, made from a seed.

Everything is computed from fixed numbers with a frozen random generator, so the recording is the
same wherever it is made (to the last bits of the FFT).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from namexp.audio.spectral_filter import (
    apply_response,
    chain,
    change_rate,
    envelope,
    one_pole_highpass,
    one_pole_lowpass,
    peaking,
)
from namexp.audio.wav import Recording

Signal = NDArray[np.float64]

SAMPLE_RATE = 48000
SEED = 1961
CLICKS_SECONDS = (0.5, 1.0)  # calibration clicks
PLAYING_SECONDS = (1.5, 36.0)
SILENCE_BEFORE_VALIDATION_SECONDS = 0.5
DURATION_SECONDS = 36.0
VALIDATION_SECONDS = 6.0
OVERSAMPLING = 4
E2 = 82.4069  # Hz, the lowest string


class EmbeddedRecording(NamedTuple):
    """What went into the amp and what came out, aligned to the sample."""

    input: Recording
    target: Recording


@lru_cache(maxsize=1)
def embedded_recording() -> EmbeddedRecording:
    """36 s at 48 kHz: two clicks, playing with dynamics and pauses, half a second of silence at 29.5 s."""
    dry = guitar(np.random.RandomState(SEED))
    wet = amp(dry, SAMPLE_RATE)
    return EmbeddedRecording(_recording(dry), _recording(wet))


def _recording(samples: Signal) -> Recording:
    # 24 bits, as an interface records
    steps = float(2**23)
    return Recording((np.round(samples * steps) / steps).astype(np.float32), SAMPLE_RATE)


# --- the guitar -----------------------------------------------------------------------------------


def guitar(random: np.random.RandomState) -> Signal:
    """(L,) notes, chords and muted strokes of a plucked string, with clicks and silences."""
    length = int(DURATION_SECONDS * SAMPLE_RATE)
    signal = np.zeros(length)
    split = DURATION_SECONDS - VALIDATION_SECONDS
    quiet = (split - SILENCE_BEFORE_VALIDATION_SECONDS, split)
    time = PLAYING_SECONDS[0]
    while time < PLAYING_SECONDS[1] - 0.3:
        if quiet[0] - 0.1 < time < quiet[1] + 0.05:
            time = quiet[1] + 0.05
        duration = _phrase(signal, time, random)
        pause = random.choice([0.0, 0.0, 0.0, 0.25, 0.6])
        time += duration + pause
    _fade_to_silence(signal, quiet)
    signal *= 0.85 / np.abs(signal).max()
    for seconds in CLICKS_SECONDS:
        signal[int(seconds * SAMPLE_RATE)] = 0.9
    return signal


def _phrase(signal: Signal, time: float, random: np.random.RandomState) -> float:
    """Play one note, chord or muted stroke at ``time``; return its duration in seconds."""
    kind = random.choice(["note", "note", "chord", "muted", "bass"])
    velocity = random.uniform(0.08, 1.0) ** 1.5  # many soft notes, some hard ones
    step = int(random.randint(0, 30))
    duration = float(random.choice([0.125, 0.25, 0.25, 0.5, 1.0]))
    if kind == "chord":
        shape = [(0, 7, 12), (0, 7, 12, 16), (0, 3, 7, 12)][random.randint(0, 3)]
        duration = max(duration, 0.5)
        for i, interval in enumerate(shape):
            strum = 0.012 * i
            _add(
                signal,
                time + strum,
                _pluck(step % 17 + interval, duration + 0.6, 0.7 * velocity, 2.2, random),
            )
    elif kind == "muted":
        for i in range(3):
            _add(signal, time + i * 0.11, _pluck(step % 12, 0.1, velocity, 0.07, random))
        duration = 0.36
    else:
        decay = 3.5 if kind == "bass" else 2.0
        _add(
            signal,
            time,
            _pluck(step % 8 if kind == "bass" else step, duration + 0.8, velocity, decay, random),
        )
    return duration


def _add(signal: Signal, time: float, note: Signal) -> None:
    start = int(time * SAMPLE_RATE)
    stop = min(signal.size, start + note.size)
    signal[start:stop] += note[: max(0, stop - start)]


def _pluck(
    semitones: float,
    seconds: float,
    velocity: float,
    decay_seconds: float,
    random: np.random.RandomState,
) -> Signal:
    """One string: a burst through a tuned comb filter with losses.

    Source: Karplus and Strong 1983; Jaffe and Smith 1983 (pick position, fractional delay). The
    string is linear, so its loop is solved as a transfer function: H = 1 / (1 - g D(w) e^{-jwN}).
    """
    frequency = E2 * 2.0 ** (semitones / 12.0) * (1.0 + 0.001 * random.standard_normal())
    n = int(seconds * SAMPLE_RATE)
    period = SAMPLE_RATE / frequency
    burst = np.zeros(n)
    width = int(period)
    burst[:width] = random.uniform(-1.0, 1.0, width)
    bright = 1200.0 + 7000.0 * velocity  # a hard stroke is brighter
    pick = 0.13 + 0.1 * random.uniform()
    loss = 10.0 ** (-3.0 * period / (decay_seconds * SAMPLE_RATE))

    def string(omega: NDArray[np.float64]) -> NDArray[np.complex128]:
        damping = 0.5 * (1.0 + np.exp(-1j * omega))  # half a sample of delay, losses at the top
        loop = loss * damping * np.exp(-1j * omega * (period - 0.5))
        comb = 1.0 - np.exp(-1j * omega * pick * period)
        return comb * one_pole_lowpass(bright, SAMPLE_RATE)(omega) / (1.0 - loop)

    note = apply_response(burst, string, tail=int(1.3 * decay_seconds * SAMPLE_RATE))
    release = min(n, int(0.02 * SAMPLE_RATE))
    note[n - release :] *= np.linspace(1.0, 0.0, release)
    return velocity * note / (np.abs(note).max() + 1e-12)


def _fade_to_silence(signal: Signal, quiet: tuple[float, float]) -> None:
    start, stop = (int(s * SAMPLE_RATE) for s in quiet)
    fade = int(0.05 * SAMPLE_RATE)
    signal[start - fade : start] *= np.linspace(1.0, 0.0, fade)
    signal[start:stop] = 0.0


# --- the amp --------------------------------------------------------------------------------------


def amp(dry: Signal, sample_rate: int) -> Signal:
    """Two clipping stages with memory between tone filters, four times oversampled.

    Each stage clips asymmetrically around a bias that sinks with the recent level, as a tube's grid
    does; a cabinet-like set of filters follows.
    """
    rate = float(sample_rate * OVERSAMPLING)
    x = with_room(dry, sample_rate)
    x = change_rate(x, chain(one_pole_highpass(90.0, rate), peaking(750.0, 5.0, 0.7, rate)), up=OVERSAMPLING)
    x = _stage(x, gain=7.0, bias=0.15, sag=0.6, rate=rate)
    x = change_rate(x, chain(one_pole_highpass(60.0, rate), one_pole_lowpass(7000.0, rate)))
    x = _stage(x, gain=2.5, bias=-0.1, sag=0.35, rate=rate)
    cabinet = chain(
        peaking(120.0, 3.0, 0.9, rate),
        peaking(2600.0, 4.0, 1.1, rate),
        one_pole_highpass(45.0, rate),
        one_pole_lowpass(5200.0, rate),
    )
    wet = change_rate(x, cabinet, down=OVERSAMPLING)[: dry.size]
    return 0.6 * wet / np.abs(wet).max()


def with_room(dry: Signal, sample_rate: int) -> Signal:
    """(L,) samples and silence behind them: filters die away there, and the FFT's length is a fast one."""
    return np.pad(dry, (0, sample_rate // 2 + -(dry.size + sample_rate // 2) % 65536))


def _stage(x: Signal, *, gain: float, bias: float, sag: float, rate: float) -> Signal:
    """Y = clip(gain x + bias - sag * envelope) - clip(bias): softer above than below."""
    y = gain * x
    y += bias - sag * np.minimum(envelope(np.maximum(y, 0.0), 12.0, rate), 4.0)
    below = 0.7
    clipped = np.tanh(np.where(y > 0.0, y, y / below)) * np.where(y > 0.0, 1.0, below)
    return clipped - (np.tanh(bias) if bias > 0 else below * np.tanh(bias / below))

"""Amps of our own, with distortion and memory unlike the embedded one's, and the recordings that are named.

Letters: L samples.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from namexp.audio.spectral_filter import (
    Response,
    Signal,
    chain,
    change_rate,
    envelope,
    one_pole_highpass,
    one_pole_lowpass,
    peaking,
)
from namexp.audio.synth import OVERSAMPLING, SAMPLE_RATE, VALIDATION_SECONDS, guitar, with_room
from namexp.audio.wav import write_wav

RATE = float(SAMPLE_RATE * OVERSAMPLING)


class Amp(NamedTuple):
    """A recording to learn from, as settings of the command line."""

    name: str
    settings: tuple[str, ...]


def own_amps(folder: Path) -> list[Amp]:
    """Write the recordings of all synthesised amps, those that are there excepted."""
    return [_recorded(folder, name, seed, play) for name, (seed, play) in OWN.items()]


def _recorded(folder: Path, name: str, seed: int, play: Callable[[Signal], Signal]) -> Amp:
    dry, wet = folder / f"{name}_in.wav", folder / f"{name}_out.wav"
    if not wet.exists():
        folder.mkdir(parents=True, exist_ok=True)
        signal = guitar(np.random.RandomState(seed))
        played = play(signal)
        write_wav(dry, signal.astype(np.float32), SAMPLE_RATE)
        write_wav(wet, (0.6 * played / np.abs(played).max()).astype(np.float32), SAMPLE_RATE)
    return recorded(name, dry, wet, f"data.validation_seconds={VALIDATION_SECONDS:g}")


def recorded(name: str, dry: Path, wet: Path, *more: str) -> Amp:
    """One of two files."""
    return Amp(name, (f"data.input={dry}", f"data.target={wet}", *more))


def _filtered(x: Signal, *responses: Response) -> Signal:
    return change_rate(x, chain(*responses))


def _through(dry: Signal, stages: Callable[[Signal], Signal]) -> Signal:
    """Four times oversampled, with room for the filters' tails."""
    up = change_rate(with_room(dry, SAMPLE_RATE), one_pole_highpass(30.0, RATE), up=OVERSAMPLING)
    return change_rate(stages(up), one_pole_lowpass(9000.0, RATE), down=OVERSAMPLING)[: dry.size]


def _fuzz(x: Signal) -> Signal:
    """Two hard clippers, the second one lopsided, with little bass between them."""
    x = np.clip(60.0 * _filtered(x, one_pole_highpass(150.0, RATE)), -1.0, 1.0)
    x = _filtered(x, one_pole_lowpass(2500.0, RATE), one_pole_highpass(40.0, RATE))
    x = np.clip(4.0 * x + 0.3, -0.5, 1.0)
    return _filtered(x, one_pole_highpass(25.0, RATE), peaking(900.0, -8.0, 0.8, RATE))


def _compressor(x: Signal) -> Signal:
    """Gain that falls with the level of the last tens of milliseconds, and a soft curve."""
    gain = 1.0 / (1.0 + 6.0 * envelope(np.abs(x), 4.0, RATE))
    x = np.tanh(1.5 * x * gain) + 0.05 * np.tanh(1.5 * x * gain) ** 2
    return _filtered(x, peaking(3000.0, 6.0, 0.7, RATE), peaking(400.0, -4.0, 0.9, RATE))


def _crossover(x: Signal) -> Signal:
    """A power stage with a dead zone that grows as its supply sags, behind a soft preamplifier."""
    x = np.tanh(5.0 * _filtered(x, peaking(700.0, 6.0, 0.6, RATE)))
    dead = 0.04 + 0.1 * np.minimum(envelope(np.abs(x), 8.0, RATE), 1.0)
    x = np.sign(x) * np.maximum(np.abs(x) - dead, 0.0)
    return _filtered(x, peaking(100.0, 4.0, 1.0, RATE), one_pole_lowpass(4500.0, RATE))


def _cascade(x: Signal) -> Signal:
    """Four soft stages, each with its own bias and coupling: much gain, much intermodulation."""
    for gain, bias in ((8.0, 0.2), (4.0, -0.25), (3.0, 0.15), (1.5, -0.1)):
        x = np.tanh(gain * x + bias) - np.tanh(bias)
        x = _filtered(x, one_pole_highpass(70.0, RATE), one_pole_lowpass(8000.0, RATE))
    return _filtered(x, peaking(2200.0, 5.0, 1.2, RATE), one_pole_lowpass(5000.0, RATE))


def _rectifier(x: Signal) -> Signal:
    """An octave: a part of the signal is folded to one side before it clips."""
    x = _filtered(x, one_pole_highpass(120.0, RATE))
    x = np.tanh(6.0 * (0.5 * x + 0.5 * np.abs(x)))
    return _filtered(x, one_pole_highpass(60.0, RATE), one_pole_lowpass(3500.0, RATE))


OWN: dict[str, tuple[int, Callable[[Signal], Signal]]] = {
    "fuzz": (11, lambda dry: _through(dry, _fuzz)),
    "compressor": (12, lambda dry: _through(dry, _compressor)),
    "crossover": (13, lambda dry: _through(dry, _crossover)),
    "cascade": (21, lambda dry: _through(dry, _cascade)),
    "rectifier": (22, lambda dry: _through(dry, _rectifier)),
}
TO_VALIDATE = ("cascade", "rectifier")  # took no part in choosing
EMBEDDED = Amp("embedded", (f"data.validation_seconds={VALIDATION_SECONDS:g}",))

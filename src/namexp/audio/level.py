"""Levels: RMS in dBFS and factors in dB."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def db(ratio: float) -> float:
    """20 log10 of an amplitude ratio; -inf for 0."""
    return 20.0 * math.log10(ratio) if ratio > 0 else -math.inf


def amplitude(level_db: float) -> float:
    """The amplitude ratio of ``level_db``."""
    return 10.0 ** (level_db / 20.0)


def rms(parts: Iterable[NDArray[np.float32]]) -> float:
    """Root mean square over all samples of all ``parts``; 0.0 where there are none."""
    energy, count = 0.0, 0
    for part in parts:
        values = part.astype(np.float64)
        energy += float(values @ values)
        count += values.size
    return math.sqrt(energy / count) if count else 0.0

"""Decibels and RMS."""

from __future__ import annotations

import math

import numpy as np
import pytest

from namexp.audio.level import amplitude, db, rms


@pytest.mark.parametrize(("ratio", "level"), [(1.0, 0.0), (10.0, 20.0), (0.001, -60.0), (2.0, 6.0205999)])
def test_db_and_amplitude_are_inverse(ratio: float, level: float) -> None:
    assert db(ratio) == pytest.approx(level, abs=1e-6)
    assert amplitude(level) == pytest.approx(ratio, rel=1e-6)


def test_nothing_is_minus_infinity() -> None:
    assert db(0.0) == -math.inf


def test_rms_of_a_sine() -> None:
    sine = np.sin(2 * np.pi * np.arange(4800) / 48).astype(np.float32)
    assert rms([0.5 * sine]) == pytest.approx(0.5 / math.sqrt(2), rel=1e-7)


def test_rms_is_over_all_samples_of_all_parts() -> None:
    parts = [np.full(3, 2.0, np.float32), np.full(1, 4.0, np.float32)]
    assert rms(parts) == pytest.approx(math.sqrt((3 * 4 + 16) / 4))  # not the mean of 2 and 4
    assert rms(iter(parts)) == rms(parts)


def test_rms_is_summed_in_double_precision() -> None:
    assert rms([np.full(1_000_000, 0.1, np.float32)]) == pytest.approx(float(np.float32(0.1)), rel=1e-12)


def test_rms_of_nothing_is_zero() -> None:
    assert rms([]) == 0.0
    assert rms([np.zeros(0, np.float32)]) == 0.0
    assert rms([np.zeros(5, np.float32)]) == 0.0

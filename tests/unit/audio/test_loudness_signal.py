"""The loudness signal against the peer's, in the figures of spec/capture.md section 1.10."""

from __future__ import annotations

import math

import numpy as np
import pytest

from namexp.audio.loudness_signal import loudness_signal

BANDS = [  # Hz, dB relative to the total; the first one includes DC
    (0, 40, -4.2), (40, 80, -11.0), (80, 160, -12.1), (160, 320, -11.8), (320, 640, -11.8),
    (640, 1280, -11.1), (1280, 2560, -11.9), (2560, 5120, -11.7), (5120, 10240, -12.1),
    (10240, 24000, -11.3),
]  # fmt: skip
PERCENTILES = {
    10: 0.0219, 25: 0.0564, 50: 0.1203, 75: 0.2067, 90: 0.2953, 95: 0.3517, 99: 0.4511, 99.9: 0.5684,
}  # fmt: skip


@pytest.fixture(scope="module")
def signal() -> np.ndarray:
    samples = loudness_signal()
    assert samples.dtype == np.float32
    assert samples.shape == (48000,)
    return samples.astype(np.float64)


def _dbfs(x: np.ndarray) -> float:
    return 10 * math.log10(np.mean(x**2))


def test_level_mean_and_peak(signal: np.ndarray) -> None:
    assert _dbfs(signal) == pytest.approx(-14.968, abs=0.001)
    assert signal.mean() == pytest.approx(-0.0397, abs=0.0005)
    assert np.abs(signal).max() == pytest.approx(0.7118, abs=0.005)


@pytest.mark.parametrize(("lower", "upper", "level_db"), BANDS)
def test_energy_per_octave(signal: np.ndarray, lower: int, upper: int, level_db: float) -> None:
    energy = np.abs(np.fft.rfft(signal)) ** 2  # bin k lies at k Hz
    energy[1:-1] *= 2
    first = lower + 1 if lower else 0
    part = energy[first : upper + 1].sum() / energy.sum()
    assert 10 * math.log10(part) == pytest.approx(level_db, abs=0.1)


@pytest.mark.parametrize(("percent", "value"), PERCENTILES.items())
def test_distribution(signal: np.ndarray, percent: float, value: float) -> None:
    assert np.percentile(np.abs(signal), percent) == pytest.approx(value, rel=0.06)


def test_levels_of_twenty_blocks(signal: np.ndarray) -> None:
    levels = [_dbfs(block) for block in signal.reshape(20, -1)]
    assert min(levels) == pytest.approx(-16.5, abs=0.25)
    assert max(levels) == pytest.approx(-13.2, abs=0.25)


def test_made_again_it_is_the_same(signal: np.ndarray) -> None:
    np.random.RandomState(3).standard_normal(5)
    again = loudness_signal.__wrapped__()  # past the cache
    np.testing.assert_array_equal(again, signal.astype(np.float32))

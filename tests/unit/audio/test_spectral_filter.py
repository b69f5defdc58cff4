"""Filters through the FFT against the same filters as loops over samples."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest

from namexp.audio.spectral_filter import (
    Signal,
    apply_response,
    chain,
    change_rate,
    envelope,
    one_pole_highpass,
    one_pole_lowpass,
    peaking,
)

RATE = 48000.0
CUTOFF = 1500.0


def _noise(n: int) -> Signal:
    return np.random.RandomState(7).standard_normal(n)


def _lowpass_loop(x: Signal, cutoff: float) -> Signal:
    p = math.exp(-2 * math.pi * cutoff / RATE)
    y, state = np.empty_like(x), 0.0
    for n, value in enumerate(x):
        state = p * state + (1 - p) * value
        y[n] = state
    return y


def _biquad_loop(x: Signal, b: tuple[float, ...], a: tuple[float, ...]) -> Signal:
    y = np.zeros_like(x)
    for n in range(x.size):
        past_x = sum(b[k] * x[n - k] for k in range(3) if n >= k)
        past_y = sum(a[k] * y[n - k] for k in (1, 2) if n >= k)
        y[n] = (past_x - past_y) / a[0]
    return y


def _gain(response: object, frequency: float) -> float:
    return abs(complex(response(np.array([2 * np.pi * frequency / RATE]))[0]))


@pytest.mark.parametrize("tail", [1000, 1234, 5000])
def test_one_pole_lowpass_is_the_recursion(tail: int) -> None:
    x = _noise(500)
    filtered = apply_response(x, one_pole_lowpass(CUTOFF, RATE), tail=tail)
    assert filtered.shape == x.shape
    np.testing.assert_allclose(filtered, _lowpass_loop(x, CUTOFF), atol=1e-12)


def test_one_pole_highpass_is_what_the_lowpass_leaves() -> None:
    x = _noise(500)
    filtered = apply_response(x, one_pole_highpass(CUTOFF, RATE), tail=1000)
    np.testing.assert_allclose(filtered, x - _lowpass_loop(x, CUTOFF), atol=1e-12)
    p = math.exp(-2 * math.pi * CUTOFF / RATE)
    assert _gain(one_pole_highpass(CUTOFF, RATE), 0.0) == pytest.approx(0.0, abs=1e-15)
    assert _gain(one_pole_highpass(CUTOFF, RATE), RATE / 2) == pytest.approx(2 * p / (1 + p))


def test_without_room_for_its_tail_a_filter_wraps_around() -> None:
    x = np.zeros(512)
    x[-1] = 1.0
    response = one_pole_lowpass(CUTOFF, RATE)
    assert apply_response(x, response, tail=0)[0] > 0.1
    assert abs(apply_response(x, response, tail=1000)[0]) < 1e-15


def test_peaking_is_the_cookbooks_biquad() -> None:
    center, gain_db, q = 2000.0, 6.0, 0.9
    a = 10 ** (gain_db / 40)
    w0 = 2 * math.pi * center / RATE
    alpha = math.sin(w0) / (2 * q)
    numerator = (1 + alpha * a, -2 * math.cos(w0), 1 - alpha * a)
    denominator = (1 + alpha / a, -2 * math.cos(w0), 1 - alpha / a)
    x = _noise(500)
    response = peaking(center, gain_db, q, RATE)
    expected = _biquad_loop(x, numerator, denominator)
    np.testing.assert_allclose(apply_response(x, response, tail=2000), expected, atol=1e-12)
    assert 20 * math.log10(_gain(response, center)) == pytest.approx(gain_db)
    assert _gain(response, 0.0) == pytest.approx(1.0)
    assert _gain(response, RATE / 2) == pytest.approx(1.0)


def test_chain_multiplies() -> None:
    parts = (one_pole_lowpass(500.0, RATE), one_pole_highpass(100.0, RATE), peaking(900.0, 3.0, 1.0, RATE))
    x = _noise(300)
    one_after_the_other = x
    for part in parts:
        one_after_the_other = apply_response(np.pad(one_after_the_other, (0, 8000)), part, tail=8000)
    together = apply_response(x, chain(*parts), tail=20000)
    np.testing.assert_allclose(together, one_after_the_other[: x.size], atol=1e-10)


def _sine(n: int, cycles: int) -> Signal:
    return np.sin(2 * np.pi * cycles * np.arange(n) / n + 0.3)


def _through(omega: np.ndarray) -> np.ndarray:
    return np.ones_like(omega, dtype=np.complex128)


@pytest.mark.parametrize("factor", [1, 2, 4])
def test_a_sine_survives_a_change_of_rate(factor: int) -> None:
    low, high = _sine(480, 10), _sine(480 * factor, 10)
    np.testing.assert_allclose(change_rate(low, _through, up=factor), high, atol=1e-12)
    np.testing.assert_allclose(change_rate(high, _through, down=factor), low, atol=1e-12)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    both = _sine(1920, 10) + _sine(1920, 300)  # 240 cycles are half of 480 samples
    np.testing.assert_allclose(change_rate(both, _through, down=4), _sine(480, 10), atol=1e-12)


@pytest.mark.parametrize(("up", "down"), [(4, 1), (1, 4), (1, 1)])
def test_the_response_is_taken_at_the_higher_rate(up: int, down: int) -> None:
    n = 1920
    low, high = n // max(up, down), n
    x = _sine(high if down > 1 or up == 1 else low, 10)
    result = change_rate(x, one_pole_lowpass(CUTOFF, RATE), up=up, down=down)
    p = math.exp(-2 * math.pi * CUTOFF / RATE)
    gain = (1 - p) / (1 - p * cmath.exp(-2j * math.pi * 10 / n))
    size = x.size * up // down
    phase = 2 * np.pi * 10 * np.arange(size) / size + 0.3 + cmath.phase(gain)
    np.testing.assert_allclose(result, abs(gain) * np.sin(phase), atol=1e-12)


def test_envelope_follows_blocks_and_runs_straight_between_them() -> None:
    x = np.abs(_noise(10 * 16))
    result = envelope(x, 20.0, RATE, block=16)
    pole = math.exp(-2 * math.pi * 20.0 * 16 / RATE)
    state, knots = 0.0, []
    for block in x.reshape(10, 16):
        state = pole * state + (1 - pole) * block.mean()
        knots.append(state)
    np.testing.assert_allclose(result[16::16], knots[:-1], rtol=1e-12)  # block i is known at its end
    np.testing.assert_allclose(result[24::16], (np.array(knots[:-1]) + knots[1:]) / 2, rtol=1e-12)


def test_envelope_of_a_constant_rises_with_its_time_constant() -> None:
    n, cutoff = 48000, 12.0
    result = envelope(np.full(n, 0.5), cutoff, RATE)
    seconds = np.arange(n) / RATE
    expected = 0.5 * (1 - np.exp(-2 * np.pi * cutoff * seconds))
    np.testing.assert_allclose(result[64::64], expected[64::64], rtol=1e-9)  # exact at the blocks' ends
    np.testing.assert_allclose(result[64:], expected[64:], atol=1e-3)  # a chord between

"""Seconds and drawings of signals that are known."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from namexp.comparison.excerpts import (
    BANDS,
    COLUMNS,
    FRAMES,
    HEADROOM,
    LOWEST_HZ,
    draw,
    envelope,
    quantised,
    seconds,
    spectrogram,
    worst_and_median,
    zoom_start,
)

RATE = 8000
ESR = (0.04, 0.09, 0.01, 0.25, 0.02)


def tone(hz: float, length: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(length) / RATE).astype(np.float32)


def played() -> tuple[np.ndarray, np.ndarray]:
    """Five seconds of a tone and a prediction that is too loud by a factor of 1 + sqrt(ESR)."""
    target = np.concatenate([0.5 * tone(220)] * len(ESR))
    prediction = np.concatenate([0.5 * tone(220) * np.float32(1 + e**0.5) for e in ESR])
    return target, prediction


def test_every_second_has_its_own_esr() -> None:
    found = seconds(*played(), RATE)
    assert [(s.start, s.stop) for s in found] == [(i * RATE, (i + 1) * RATE) for i in range(5)]
    assert [s.esr for s in found] == pytest.approx(ESR, rel=1e-5)


def test_the_worst_and_the_median() -> None:
    found = worst_and_median(seconds(*played(), RATE))
    assert found is not None
    assert (found[0].start, found[1].start) == (3 * RATE, 0)
    four = worst_and_median(seconds(*(x[: 4 * RATE] for x in played()), RATE))
    assert four is not None
    assert four[1].esr == pytest.approx(0.04, rel=1e-5)  # the lower of the two in the middle


def test_silent_seconds_are_left_out_however_wrong_they_are() -> None:
    target, prediction = played()
    target[RATE : 2 * RATE] = 1e-4 * tone(50)
    target[2 * RATE : 3 * RATE] = 0.0
    prediction[RATE : 3 * RATE] = 0.3
    found = seconds(target, prediction, RATE)
    assert [s.start // RATE for s in found] == [0, 3, 4]
    assert worst_and_median(seconds(np.zeros(RATE, np.float32), prediction[:RATE], RATE)) is None


def test_the_end_that_is_no_whole_second_is_left_out_unless_it_is_all() -> None:
    target, prediction = (x[: RATE + 100] for x in played())
    assert [s.stop for s in seconds(target, prediction, RATE)] == [RATE]
    assert [s.stop for s in seconds(target[:500], prediction[:500], RATE)] == [500]
    assert seconds(target[:0], prediction[:0], RATE) == []


def test_an_envelope_holds_the_extremes_of_each_column() -> None:
    samples = np.zeros(10 * COLUMNS, np.float32)
    samples[35], samples[38] = 0.5, -0.25
    low, high = envelope(samples, 1.0)
    assert (low[3], high[3]) == (-32, 64)
    assert not low[:3].any()
    assert not high[4:].any()
    assert envelope(samples[:40], 1.0).shape == (2, COLUMNS)  # fewer samples than columns


def test_the_close_up_is_where_the_error_is() -> None:
    error = np.zeros(1000, np.float32)
    error[700:720] = 1.0
    assert 700 - 20 <= zoom_start(error, 40) <= 700
    assert zoom_start(error[:30], 40) == 0


def test_a_tone_lies_in_its_band_and_a_pause_is_dark() -> None:
    samples = np.concatenate([tone(1000, RATE // 2), np.zeros(RATE // 2, np.float32)])
    found = spectrogram(samples, RATE)
    assert found.shape == (BANDS, FRAMES)
    band = int(np.log(1000 / LOWEST_HZ) / np.log(RATE / 2 / LOWEST_HZ) * BANDS)
    assert abs(int(found[:, FRAMES // 4].argmax()) - band) <= 1
    assert found[:, -5].max() < 1e-9 * found.max()


def test_levels_are_steps_of_two_and_a_half_db() -> None:
    power = np.array([[1.0, 0.1, 10**-7.5, 1e-12, 10**-0.25]])
    assert quantised(power, 1.0).tolist() == [[30, 26, 0, 0, 29]]


def test_a_drawing_can_be_unpacked_and_shares_its_target() -> None:
    target, prediction = played()
    second = seconds(target, prediction, RATE)[3]
    drawing = draw(target, prediction, RATE, second)
    assert drawing.peak == pytest.approx(HEADROOM * 0.5, rel=1e-3)
    assert (drawing.start_seconds, drawing.seconds) == (3.0, 1.0)
    assert len(zlib.decompress(drawing.target)) == 2 * COLUMNS + BANDS * FRAMES
    unpacked = np.frombuffer(zlib.decompress(drawing.prediction), np.int8)
    zoom = drawing.zoom_samples
    assert unpacked.size == 2 * COLUMNS + 2 * zoom + 2 * BANDS * FRAMES
    wanted, got = unpacked[2 * COLUMNS :][:zoom], unpacked[2 * COLUMNS + zoom :][:zoom]
    loud = np.abs(wanted) > 50
    # peak 1.5 x 0.5 is above the picture's 1.25 x 0.5: cut off there, 1.5 times as high below
    assert np.allclose(got[loud], np.clip(1.5 * wanted[loud], -127, 127), atol=1.5)
    other = draw(target, target, RATE, second)
    assert other.target == drawing.target
    assert other.prediction != drawing.prediction

"""The embedded recording: what is where in it, and that its amp is one worth modelling."""

from __future__ import annotations

import numpy as np
import pytest

from namexp.audio import synth
from namexp.audio.level import db, rms
from namexp.audio.synth import EmbeddedRecording, amp

RATE = 48000
SHORT = 65536  # samples of the amp's own tests


@pytest.fixture(scope="module")
def recording() -> EmbeddedRecording:
    return synth.embedded_recording()


# --- the recording --------------------------------------------------------------------------------


def test_length_and_rate(recording: EmbeddedRecording) -> None:
    for samples, rate in recording:
        assert rate == RATE
        assert samples.shape == (36 * RATE,)
        assert samples.dtype == np.float32


def test_every_sample_is_on_the_24_bit_grid(recording: EmbeddedRecording) -> None:
    for samples, _ in recording:
        steps = samples.astype(np.float64) * 2**23
        np.testing.assert_array_equal(steps, np.round(steps))


def test_it_is_made_from_its_seed_alone(recording: EmbeddedRecording) -> None:
    np.random.seed(99)
    dry = synth.guitar(np.random.RandomState(synth.SEED))
    np.testing.assert_allclose(dry, recording.input.samples, atol=0.5001 / 2**23)
    assert np.abs(synth.guitar(np.random.RandomState(synth.SEED + 1)) - dry).max() > 0.1
    assert synth.embedded_recording() is recording


def test_levels_and_peaks(recording: EmbeddedRecording) -> None:
    x, y = recording.input.samples, recording.target.samples
    assert db(rms([x])) == pytest.approx(-27.84, abs=0.01)
    assert db(rms([y])) == pytest.approx(-16.85, abs=0.01)
    assert np.abs(x).max() == pytest.approx(0.9, abs=1e-6)  # the clicks
    assert np.abs(x[int(1.5 * RATE) :]).max() == pytest.approx(0.85, abs=1e-6)
    assert np.abs(y).max() == pytest.approx(0.6, abs=1e-6)
    validation = rms([y[-6 * RATE :]])
    assert abs(db(validation / rms([y[: -6 * RATE]]))) < 3.0  # no easier and no harder to hear


def test_two_clicks_and_nothing_else_before_the_playing(recording: EmbeddedRecording) -> None:
    start = recording.input.samples[: int(1.5 * RATE)]
    np.testing.assert_array_equal(np.flatnonzero(start), [RATE // 2, RATE])
    np.testing.assert_allclose(start[[RATE // 2, RATE]], 0.9, atol=1e-6)


@pytest.mark.parametrize("click", [RATE // 2, RATE])
def test_the_target_answers_a_click_at_once(recording: EmbeddedRecording, click: int) -> None:
    y = np.abs(recording.target.samples)
    loudest = y[click - 1000 : click + 1000].max()
    first = click - 1000 + int(np.flatnonzero(y[click - 1000 :] > 0.5 * loudest)[0])
    assert first - click in (0, 1)  # no latency: data.delay = 0 is right
    # a click of one sample holds every frequency, so the ideal band limit rings before it
    assert y[click - 1000 : click].max() < 0.25 * loudest
    assert y[click - 1000 : click - 100].max() < 0.01 * loudest


def test_the_input_is_silent_before_the_validation_part(recording: EmbeddedRecording) -> None:
    x = recording.input.samples
    border = 30 * RATE
    assert not x[border - RATE // 2 : border].any()
    assert x[border - RATE : border - RATE // 2].any()
    assert rms([x[border : border + RATE]]) > 0.01
    assert np.abs(recording.target.samples[border - RATE // 4 : border]).max() < 0.001


# --- the amp --------------------------------------------------------------------------------------


def _decaying_note() -> np.ndarray:
    seconds = np.arange(SHORT) / RATE
    return 0.8 * np.exp(-2 * seconds) * np.sin(2 * np.pi * 110 * seconds)


def _difference(changed: np.ndarray) -> np.ndarray:
    """How far the answer to ``changed`` is from that to the note, both at one scale.

    The amp's output is scaled to its peak, which both have in the unchanged beginning.
    """
    plain, other = amp(_decaying_note(), RATE), amp(changed, RATE)
    peak = int(np.abs(plain).argmax())
    assert peak < 6000
    return np.abs(other * (plain[peak] / other[peak]) - plain)


def test_a_smooth_change_is_not_heard_before_it_happens() -> None:
    start = 30001
    since = (np.arange(SHORT) - start) / RATE
    rise = 0.5 - 0.5 * np.cos(np.pi * np.clip(since * 1000, 0, 1))  # over a millisecond
    difference = _difference(_decaying_note() + 0.3 * rise * np.sin(2 * np.pi * 220 * since))
    assert difference[start:].max() > 0.3
    assert difference[:start].max() < 5e-6  # -110 dB of it


def test_a_hard_cut_rings_only_as_far_as_the_band_limit_does() -> None:
    # The resampling between the stages is an ideal (zero-phase) band limit: a step rings before
    # itself like 1 / distance. Nothing else looks ahead.
    start = 30001
    changed = _decaying_note()
    changed[start:] = 0.0
    difference = _difference(changed)
    assert difference[start:].max() > 0.3
    assert difference[:start].max() < 0.01
    assert difference[: start - 48].max() < 3e-4  # a millisecond before
    assert difference[: start - 4800].max() < 5e-6  # a tenth of a second before


def test_the_same_input_gives_the_same_output() -> None:
    np.testing.assert_array_equal(amp(_decaying_note(), RATE), amp(_decaying_note(), RATE))


def test_it_compresses() -> None:
    seconds = np.arange(RATE) / RATE
    played = np.where(seconds < 0.5, 0.01, 0.5) * np.sin(2 * np.pi * 200 * seconds)
    heard = amp(played, RATE)
    ratio = rms([heard[30000:47000]]) / rms([heard[6000:23000]])
    assert 3.0 < ratio < 12.0  # a linear amp: 50


def _harmonics(gain: float) -> np.ndarray:
    """Amplitudes of the first five harmonics of a 200 Hz sine, relative to the first."""
    sine = gain * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    heard = amp(sine, RATE)[24000:36000]
    return np.abs(np.fft.rfft(heard))[[50, 100, 150, 200, 250]] / np.abs(np.fft.rfft(heard))[50]


def test_it_is_neither_linear_nor_symmetric() -> None:
    loud = _harmonics(0.5)
    assert loud[1] > 0.1  # even harmonics: up and down are clipped differently
    assert loud[2] > 0.1  # odd ones: it clips at all
    quiet = _harmonics(0.001)
    assert quiet[1:].max() < 0.02


def test_the_mirrored_input_does_not_give_the_mirrored_output() -> None:
    sine = 0.5 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)
    heard, mirrored = amp(sine, RATE), amp(-sine, RATE)
    assert rms([(heard + mirrored)[24000:36000]]) > 0.2 * rms([heard[24000:36000]])


def test_silence_before_the_first_note_stays_silence() -> None:
    played = np.zeros(SHORT)
    since = np.arange(SHORT - 30000) / RATE
    rise = np.clip(since * 1000, 0, 1) ** 2
    played[30000:] = 0.5 * rise * np.sin(2 * np.pi * 200 * since)
    heard = amp(played, RATE)
    assert np.abs(heard[:29000]).max() < 1e-4  # the stages' bias is taken off again

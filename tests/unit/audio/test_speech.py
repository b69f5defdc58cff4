"""The embedded speech-like set: its size, that it is always the same, and that it is like speech."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from namexp.audio.level import db, rms
from namexp.audio.speech import EmbeddedSpeech, embedded_speech

RATE = 22050


@pytest.fixture(scope="module")
def speech() -> EmbeddedSpeech:
    return embedded_speech(RATE)


def test_how_much_there_is(speech: EmbeddedSpeech) -> None:
    assert (len(speech.train), len(speech.validation)) == (24, 4)
    assert not set(speech.train) & set(speech.validation)
    for clips in speech.parts.values():
        for samples in clips.values():
            assert samples.dtype == np.float32
            assert RATE <= samples.size <= 2 * RATE


def test_it_is_made_from_its_seed_alone(speech: EmbeddedSpeech) -> None:
    np.random.seed(99)
    again = embedded_speech.__wrapped__(RATE)
    for part, clips in speech.parts.items():
        for name, samples in clips.items():
            np.testing.assert_array_equal(samples, again.parts[part][name])


def test_every_sample_is_on_the_16_bit_grid(speech: EmbeddedSpeech) -> None:
    for samples in speech.train.values():
        steps = samples.astype(np.float64) * 2**15
        np.testing.assert_array_equal(steps, np.round(steps))
        assert 0.29 < np.abs(samples).max() < 0.95


def test_no_clip_is_another(speech: EmbeddedSpeech) -> None:
    clips = [*speech.train.values(), *speech.validation.values()]
    assert len({hashlib.sha256(samples.tobytes()).digest() for samples in clips}) == 28


def _frames(speech: EmbeddedSpeech) -> np.ndarray:
    """(N, 512) of all clips."""
    return np.concatenate([s[: s.size // 512 * 512].reshape(-1, 512) for s in speech.train.values()])


def test_it_sounds_and_pauses(speech: EmbeddedSpeech) -> None:
    levels = np.array([db(rms([frame])) for frame in _frames(speech)])
    assert 0.4 < np.mean(levels > -30) < 0.9
    assert 0.03 < np.mean(levels < -55) < 0.4
    assert levels.min() > -75  # the noise of the room


def test_it_has_pitch_and_noise(speech: EmbeddedSpeech) -> None:
    frames = _frames(speech)
    loud = frames[np.array([db(rms([frame])) for frame in frames]) > -40].astype(np.float64)
    spectra = np.abs(np.fft.rfft(loud * np.hanning(512)))
    hz = np.fft.rfftfreq(512, 1 / RATE)
    centroid = (spectra * hz).sum(1) / spectra.sum(1)
    assert np.mean(centroid < 2500) > 0.5  # vowels
    assert np.mean(centroid > 4000) > 0.03  # fricatives
    voiced = loud[centroid < 2000]
    lags = np.fft.irfft(np.abs(np.fft.rfft(voiced, 1024)) ** 2)[:, : RATE // 60]
    periodicity = lags[:, RATE // 350 :].max(1) / lags[:, 0]
    assert np.median(periodicity) > 0.6


def test_another_rate(speech: EmbeddedSpeech) -> None:
    fast = embedded_speech(44100)
    assert all(44100 <= samples.size <= 88200 for samples in fast.validation.values())

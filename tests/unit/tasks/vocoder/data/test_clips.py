from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from namexp.audio.speech import embedded_speech
from namexp.data.utterances import Utterance
from namexp.errors import UserError
from namexp.tasks.vocoder.data.clips import Clips
from tests.unit.tasks.vocoder.clip_sets import noise, write_clip


def _clips(path: Path, size: int, *, peak_normalized: bool = True, cache_bytes: int = 0) -> Clips:
    utterance = Utterance("a", str(path), size)
    return Clips([utterance], sample_rate=22050, peak_normalized=peak_normalized, cache_bytes=cache_bytes)


@pytest.mark.parametrize("cache_bytes", [0, 10**6])
def test_clips_are_brought_to_one_peak_as_the_official_code_rounds(tmp_path: Path, cache_bytes: int) -> None:
    samples = noise("a", 5000)
    clips = _clips(write_clip(tmp_path / "a.wav", samples), 5000, cache_bytes=cache_bytes)
    scaled = samples / 32768.0
    expected = (scaled / np.abs(scaled).max() * 0.95).astype(np.float32)
    for _ in range(2):
        np.testing.assert_array_equal(clips.cut(0), expected)
        np.testing.assert_array_equal(clips.cut(0, 1000, 50), expected[1000:1050])


def test_clips_as_they_are(tmp_path: Path) -> None:
    samples = noise("a", 5000)
    clips = _clips(write_clip(tmp_path / "a.wav", samples), 5000, peak_normalized=False)
    np.testing.assert_array_equal(clips.cut(0), samples.astype(np.float32) / 32768)


def test_the_most_negative_sample_is_the_peak(tmp_path: Path) -> None:
    samples = np.array([-32768, 16384] * 300, dtype=np.int16)
    clips = _clips(write_clip(tmp_path / "a.wav", samples), 600, cache_bytes=10**6)
    assert clips.cut(0)[:2].tolist() == [np.float32(-0.95), np.float32(0.475)]


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24"])
def test_finer_samples_are_kept_as_they_are(tmp_path: Path, subtype: str) -> None:
    samples = np.round(np.random.RandomState(0).uniform(-0.9, 0.9, 999) * 2**23) / 2**23
    path = write_clip(tmp_path / "a.wav", samples, subtype=subtype)
    clips = _clips(path, 999, peak_normalized=False, cache_bytes=10**6)
    for _ in range(2):
        np.testing.assert_array_equal(clips.cut(0), samples.astype(np.float32))


def test_beyond_full_scale_is_kept(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav", np.array([1.0, -1.0, 1.5] * 200), subtype="FLOAT")
    clips = _clips(path, 600, peak_normalized=False, cache_bytes=10**6)
    assert clips.cut(0, 0, 3).tolist() == [1.0, -1.0, 1.5]


def test_a_silent_clip_stays_silent(tmp_path: Path) -> None:
    clips = _clips(write_clip(tmp_path / "a.wav", np.zeros(600)), 600)
    assert not clips.cut(0).any()


def test_zeros_follow_a_clip(tmp_path: Path) -> None:
    clips = _clips(write_clip(tmp_path / "a.wav", noise("a", 600)), 600)
    whole = clips.cut(0)
    np.testing.assert_array_equal(clips.cut(0, 500, 300), np.pad(whole[500:], (0, 200)))


def test_kept_clips_are_not_read_again(tmp_path: Path) -> None:
    paths = [write_clip(tmp_path / f"{name}.wav", noise(name, 1000)) for name in "abc"]
    utterances = [Utterance(path.stem, str(path), 1000) for path in paths]
    # room for two
    clips = Clips(utterances, sample_rate=22050, peak_normalized=True, cache_bytes=4500)
    before = [clips.cut(i) for i in range(3)]
    for path in paths:
        path.unlink()
    for i in range(2):
        np.testing.assert_array_equal(clips.cut(i), before[i])
    with pytest.raises(UserError, match=r"c\.wav: no such file"):
        clips.cut(2)
    # another process has its own room, and nothing in it
    copy = pickle.loads(pickle.dumps(clips))
    with pytest.raises(UserError, match=r"a\.wav: no such file"):
        copy.cut(0)
    write_clip(paths[0], noise("a", 1000))
    np.testing.assert_array_equal(copy.cut(0), before[0])
    paths[0].unlink()
    np.testing.assert_array_equal(copy.cut(0), before[0])


def test_what_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.wav", np.full(600, np.inf), subtype="FLOAT")
    with pytest.raises(UserError, match=r"a\.wav: sample 0 is inf"):
        _clips(path, 600).cut(0)


def test_embedded_clips_have_no_file() -> None:
    name, samples = next(iter(embedded_speech(22050).validation.items()))
    clips = Clips([Utterance(name, None, samples.size)], sample_rate=22050, peak_normalized=False)
    np.testing.assert_array_equal(clips.cut(0), samples)

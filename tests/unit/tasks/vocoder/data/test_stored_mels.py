from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from namexp.errors import UserError
from namexp.tasks.vocoder.data.speech import Speech, load_speech
from tests.unit.tasks.vocoder.clip_sets import MEL, speech_data, write_set


def _mel(frames: int) -> np.ndarray:
    return np.random.RandomState(frames).uniform(-11, 1, (80, frames)).astype(np.float32)


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """Clips of 9000 and more samples, 35 frames and more, and their mels."""
    write_set(tmp_path, train=("a", "b"), validation=("v",))
    (tmp_path / "mels").mkdir()
    for i, name in enumerate("abv"):
        np.save(tmp_path / "mels" / f"{name}.npy", _mel((9000 + 100 * i) // 256))
    return tmp_path


def _load(directory: Path) -> Speech:
    return load_speech(speech_data(dir=str(directory), mels=str(directory / "mels")), MEL)


def test_every_clip_gets_its_mel(tuned: Path) -> None:
    speech = _load(tuned)
    assert speech.fine_tuning
    assert not speech.peak_normalized
    assert speech.tags == ("fine_tuning",)
    mels = [str(tuned / "mels" / f"{name}.npy") for name in "abv"]
    assert [u.mel for u in (*speech.train, *speech.validation)] == mels
    np.save(mels[0], _mel(35) * 0.5)
    changed = _load(tuned).sha256
    assert changed["mels"] != speech.sha256["mels"]
    assert changed["train"] == speech.sha256["train"]


@pytest.mark.parametrize("off", [-2, -1, 1, 2])
def test_a_frame_or_two_more_or_less_are_padding(tuned: Path, off: int) -> None:
    np.save(tuned / "mels" / "a.npy", _mel(35 + off)[None])
    assert _load(tuned)


def test_mels_that_cannot_be_used_are_named(tuned: Path) -> None:
    path = tuned / "mels" / "a.npy"

    def refused(said: str) -> None:
        with pytest.raises(UserError) as caught:
            _load(tuned)
        assert str(caught.value).startswith(f"{path}: {said}")
        assert "\n" not in str(caught.value)

    np.save(path, _mel(38))
    refused("has 38 frames and the clip of 9000 samples has 35 of 256")
    np.save(path, _mel(35)[:40])
    refused("has the shape (40, 35) and must have (80, frames)")
    np.save(path, np.where(_mel(35) > 0, np.nan, _mel(35)))
    refused("mel ")
    np.save(path, _mel(35) * 8.686)
    refused("its values lie between")
    path.unlink()
    refused("no such file; data.mels must hold one for every clip")


def test_no_directory(tmp_path: Path) -> None:
    write_set(tmp_path)
    with pytest.raises(UserError, match=r"data\.mels \(= .*mels\): no such directory"):
        _load(tmp_path)


def test_a_mel_is_found_by_the_last_part_of_a_name_but_for_one_clip_only(tuned: Path) -> None:
    (tuned / "train.txt").write_text("wavs/a.wav\nwavs/b.wav\n")
    assert [u.mel for u in _load(tuned).train] == [str(tuned / "mels" / f"{name}.npy") for name in "ab"]
    write_set(tuned / "more", train=("a",))
    (tuned / "train.txt").write_text("wavs/a.wav\nmore/wavs/a.wav\n")
    with pytest.raises(UserError, match=r"a\.npy: is the mel of two clips, wavs/a and more/wavs/a"):
        _load(tuned)

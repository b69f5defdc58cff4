from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from namexp.data.utterances import Utterance, digest_of_files, each, measured, refuse_shared
from namexp.errors import UserError

RATE = 22050


def _wav(path: Path, samples: np.ndarray, *, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def _measured(path: Path) -> Utterance:
    return measured("a", path, sample_rate=RATE, least_samples=385)


def test_what_a_header_says(tmp_path: Path) -> None:
    path = _wav(tmp_path / "a.wav", np.zeros(385))
    assert _measured(path) == Utterance("a", str(path), 385)


def test_clips_that_cannot_be_used(tmp_path: Path) -> None:
    noise = tmp_path / "noise.wav"
    noise.write_bytes(b"RIFF of another kind" * 9)
    cases = {
        _wav(tmp_path / "short.wav", np.zeros(384)): "has 384 samples and must have at least 385",
        _wav(tmp_path / "empty.wav", np.zeros(0)): "holds no samples",
        _wav(tmp_path / "wide.wav", np.zeros((999, 2))): "has 2 channels and must have 1",
        _wav(tmp_path / "fast.wav", np.zeros(999), rate=48000): "at 48000 Hz and the model works at 22050 Hz",
        noise: "not an audio file",
        tmp_path / "gone.wav": "no such file",
    }
    for path, said in cases.items():
        with pytest.raises(UserError, match=said) as caught:
            _measured(path)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


def test_a_clip_in_both_parts_or_twice_is_refused(tmp_path: Path) -> None:
    a, b = (Utterance(name, str(tmp_path / f"{name}.wav"), 9) for name in "ab")
    refuse_shared([a], [b])
    with pytest.raises(UserError, match=r"b\.wav: clip b is listed to train and to validate"):
        refuse_shared([a, b], [b])
    (tmp_path / "sub").mkdir()
    detour = Utterance("sub/../a", str(tmp_path / "sub" / ".." / "a.wav"), 9)
    with pytest.raises(UserError, match=r"listed twice to train, as a and as sub/\.\./a"):
        refuse_shared([a, detour], [b])


def test_a_digest_is_of_contents_in_their_order(tmp_path: Path) -> None:
    a = _wav(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 999))
    b = _wav(tmp_path / "b.wav", np.linspace(0.5, -0.5, 999))
    contents = [hashlib.sha256(path.read_bytes()).digest() for path in (a, b)]
    assert digest_of_files([a, b], "x") == hashlib.sha256(b"".join(contents)).hexdigest()
    assert digest_of_files([b, a], "x") == hashlib.sha256(b"".join(contents[::-1])).hexdigest()
    moved = a.rename(tmp_path / "c.wav")
    assert digest_of_files([moved, b], "x") == hashlib.sha256(b"".join(contents)).hexdigest()


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_numbers_that_are_not_finite_are_found_while_reading(tmp_path: Path, subtype: str) -> None:
    good = _wav(tmp_path / "good.wav", np.zeros(999), subtype=subtype)
    bad = _wav(tmp_path / "bad.wav", np.where(np.arange(999) == 77, np.nan, 0.0), subtype=subtype)
    with pytest.raises(UserError, match=r"bad\.wav: sample 77 is nan"):
        digest_of_files([good, bad], "x")


def test_a_packed_clip_that_is_not_whole_is_found_while_reading(tmp_path: Path) -> None:
    whole, bad = tmp_path / "whole.flac", tmp_path / "bad.flac"
    for path in (whole, bad):
        soundfile.write(path, np.linspace(-0.5, 0.5, 9999), RATE, subtype="PCM_16")
    assert len(digest_of_files([whole], "x")) == 64
    content = bytearray(bad.read_bytes())
    count = int.from_bytes(content[18:26], "big")
    for damaged in (
        content[: len(content) // 2],
        content[:18] + (count - 99).to_bytes(8, "big") + content[26:],
        content[:-30] + bytes([content[-30] ^ 8]) + content[-29:],
    ):
        bad.write_bytes(damaged)
        with pytest.raises(UserError, match=r"bad\.flac: "):
            digest_of_files([whole, bad], "x")


@pytest.mark.parametrize("subtype", ["ULAW", "MS_ADPCM"])
def test_a_lossy_clip_is_nothing_to_learn_from(tmp_path: Path, subtype: str) -> None:
    path = _wav(tmp_path / "a.wav", np.linspace(-0.5, 0.5, 9999), subtype=subtype)
    with pytest.raises(UserError, match=rf"a\.wav: is lossy \({subtype}\)"):
        _measured(path)


def test_extensible_wav_is_looked_into(tmp_path: Path) -> None:
    samples = np.where(np.arange(999) == 5, np.inf, 0.0)
    path = tmp_path / "bad.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT", format="WAVEX")
    with pytest.raises(UserError, match="sample 5 is inf"):
        digest_of_files([path], "x")
    soundfile.write(path, np.zeros(999), RATE, subtype="PCM_16", format="WAVEX")
    assert len(digest_of_files([path], "x")) == 64


def test_results_come_in_order_and_the_first_error_goes_on() -> None:
    assert list(each(lambda x: x * x, range(50), "x")) == [x * x for x in range(50)]

    def work(x: int) -> int:
        if x >= 3:
            raise UserError(f"number {x}")
        return x

    with pytest.raises(UserError, match="number 3"):
        list(each(work, range(50), "x"))

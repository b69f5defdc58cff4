"""Files: every number as it was written, and every refusal with the file's name and the value."""

from __future__ import annotations

import hashlib
import re
import struct
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from namexp.audio.wav import (
    Samples,
    flac_bytes,
    open_wav,
    read_wav,
    sha256_of,
    write_flac,
    write_wav,
    write_wav_blocks,
)
from namexp.errors import UserError

FLOATS = np.array([0.0, 1.5, -2.25, 1e-7, 0.1, -1.0], dtype=np.float32)  # also beyond full scale


def _write_pcm(path: Path, values: list[int], *, bits: int, rate: int = 44100, channels: int = 1) -> None:
    """PCM bytes by hand, so that no encoder has a say."""
    if bits == 8:  # unsigned: 128 is zero
        data = bytes(v + 128 for v in values)
    else:
        data = b"".join(v.to_bytes(bits // 8, "little", signed=True) for v in values)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(bits // 8)
        file.setframerate(rate)
        file.writeframes(data)


def _integers(bits: int) -> list[int]:
    full = 2 ** (bits - 1)
    return [0, 1, -1, full // 3, -full // 5, full - 1, -full]


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_pcm_is_read_to_the_integer(tmp_path: Path, bits: int) -> None:
    values = _integers(bits)
    _write_pcm(tmp_path / "a.wav", values, bits=bits)
    samples, rate = read_wav(tmp_path / "a.wav")
    expected = (np.array(values, dtype=np.float64) / 2.0 ** (bits - 1)).astype(np.float32)
    assert rate == 44100
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, expected)


def test_eight_bit_zero_is_128(tmp_path: Path) -> None:
    _write_pcm(tmp_path / "a.wav", [0, 0, 0], bits=8)
    assert b"data\x03\x00\x00\x00\x80\x80\x80" in (tmp_path / "a.wav").read_bytes()
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav").samples, np.zeros(3, np.float32))


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_wav_is_read_as_it_stands(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", FLOATS.astype(np.float64), 96000, subtype=subtype)
    samples, rate = read_wav(tmp_path / "a.wav")
    assert rate == 96000
    np.testing.assert_array_equal(samples, FLOATS)


@pytest.mark.parametrize(("bits", "dtype", "shift"), [(16, np.int16, 0), (24, np.int32, 8)])
def test_flac_is_read_to_the_integer(tmp_path: Path, bits: int, dtype: Any, shift: int) -> None:
    values = np.array(_integers(bits), dtype=np.int64)
    data = (values << shift).astype(dtype)  # soundfile takes the topmost bits
    soundfile.write(tmp_path / "a.flac", data, 48000, subtype=f"PCM_{bits}")
    samples, rate = read_wav(str(tmp_path / "a.flac"))
    assert rate == 48000
    np.testing.assert_array_equal(samples, (values / 2.0 ** (bits - 1)).astype(np.float32))


# --- refusals -------------------------------------------------------------------------------------


def _refused(path: Path, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        read_wav(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_stereo_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "stereo.wav"
    _write_pcm(path, [1, 2, 3, 4], bits=16, channels=2)
    _refused(path, f"{path}: has 2 channels and must have 1")


@pytest.mark.parametrize("name", ["missing.wav", ""])
def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    _refused(path, f"{path}: no such file.")


def test_a_file_without_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.wav"
    _write_pcm(path, [], bits=16)
    _refused(path, f"{path}: holds no samples.")


@pytest.mark.parametrize("content", [b"", b"RIFF", b"this is not a recording of an amp at all\n" * 9])
def test_what_is_not_audio_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.wav"
    path.write_bytes(content)
    _refused(path, f"{path}: not an audio file that can be read:")


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_samples_that_are_not_finite_are_refused(tmp_path: Path, value: float, shown: str) -> None:
    path = tmp_path / "broken.wav"
    soundfile.write(path, np.array([0.1, 0.2, value, 0.3, value], np.float32), 48000, subtype="FLOAT")
    _refused(path, f"{path}: sample 2 is {shown}; the file is damaged")


def test_a_double_too_large_for_a_float_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.wav"
    soundfile.write(path, np.array([0.1, 1e300]), 48000, subtype="DOUBLE")
    _refused(path, f"{path}: sample 1 is inf")


# --- writing --------------------------------------------------------------------------------------


def test_written_as_32_bit_float_of_the_same_length_and_rate(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "out.wav"
    write_wav(path, FLOATS, 88200)
    info = soundfile.info(path)
    assert (info.format, info.subtype) == ("WAV", "FLOAT")
    assert (info.channels, info.samplerate, info.frames) == (1, 88200, FLOATS.size)
    samples, rate = read_wav(path)
    assert rate == 88200
    np.testing.assert_array_equal(samples, FLOATS)
    assert [p.name for p in path.parent.iterdir()] == ["out.wav"]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    write_wav(path, FLOATS, 48000)
    before = path.read_bytes()

    def half() -> Iterator[Samples]:
        yield FLOATS
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        write_wav_blocks(path, half(), 48000)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.wav"]


def test_a_recording_is_read_in_blocks(tmp_path: Path) -> None:
    write_wav_blocks(tmp_path / "x.wav", [FLOATS[:1], FLOATS[1:]], 48000)
    with open_wav(tmp_path / "x.wav") as wav:
        assert (wav.sample_rate, wav.num_samples) == (48000, 6)
        blocks = list(wav.blocks(4))
    assert [block.size for block in blocks] == [4, 2]
    assert np.array_equal(np.concatenate(blocks), FLOATS)


def test_a_damaged_sample_is_named_by_its_place_in_the_file(tmp_path: Path) -> None:
    damaged = FLOATS.copy()
    damaged[4] = np.inf
    write_wav(tmp_path / "x.wav", damaged, 48000)
    with (
        open_wav(tmp_path / "x.wav") as wav,
        pytest.raises(UserError, match=r"x\.wav: sample 4 is inf"),
    ):
        list(wav.blocks(3))


# --- identity -------------------------------------------------------------------------------------


def test_sha256_is_that_of_the_rate_and_the_little_endian_samples() -> None:
    expected = hashlib.sha256(b"48000\n" + struct.pack("<3f", 0.5, -1.0, 0.25)).hexdigest()
    samples = np.array([0.5, -1.0, 0.25], np.float32)
    assert sha256_of(samples, 48000) == expected
    strided = np.array([0.5, 9.0, -1.0, 9.0, 0.25], np.float32)[::2]
    assert sha256_of(strided, 48000) == expected


def test_sha256_changes_with_one_sample_and_with_the_rate() -> None:
    samples = np.linspace(-1, 1, 1000, dtype=np.float32)
    other = samples.copy()
    other[500] = np.nextafter(other[500], np.float32(1))
    digests = {sha256_of(samples, 48000), sha256_of(other, 48000), sha256_of(samples, 44100)}
    digests |= {sha256_of(samples[:-1], 48000)}
    assert len(digests) == 4


# --- FLAC -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [16, 24])
def test_flac_is_written_to_the_last_bit(tmp_path: Path, bits: int) -> None:
    samples = np.array([0.0, 0.5, -1.0, 1.0 - 2.0 ** (1 - bits), 2.0 ** (1 - bits)], np.float32)
    write_flac(tmp_path / "new" / "a.flac", samples, 44100, bits=bits)
    info = soundfile.info(tmp_path / "new" / "a.flac")
    assert (info.format, info.subtype, info.samplerate) == ("FLAC", f"PCM_{bits}", 44100)
    np.testing.assert_array_equal(read_wav(tmp_path / "new" / "a.flac").samples, samples)
    assert (tmp_path / "new" / "a.flac").read_bytes() == flac_bytes(samples, 44100, bits=bits)


@pytest.mark.parametrize("value", [1.01, -1.01, np.nan, np.inf])
def test_flac_is_not_clipped_in_silence(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="up to full scale"):
        write_flac(tmp_path / "a.flac", np.array([0.1, value], np.float32), 48000)
    assert list(tmp_path.iterdir()) == []

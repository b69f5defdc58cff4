"""A file is read whole or refused: cut off, of another length than it says, lossy, or of another kind."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from namexp.audio.wav import Lossy, open_wav, read_wav, write_wav
from namexp.errors import UserError

RATE = 48000
N = 3000
LOSSLESS = [
    (container, subtype)
    for container, subtypes in {
        "WAV": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
        "WAVEX": ("PCM_16", "PCM_24", "FLOAT"),
        "RF64": ("PCM_16", "PCM_24", "FLOAT"),
        "W64": ("PCM_16", "PCM_24", "DOUBLE"),
        "AIFF": ("PCM_S8", "PCM_16", "PCM_24", "FLOAT"),
        "CAF": ("PCM_S8", "PCM_16", "PCM_24", "FLOAT"),
        "AU": ("PCM_16", "PCM_24", "FLOAT"),
        "FLAC": ("PCM_S8", "PCM_16", "PCM_24"),
    }.items()
    for subtype in subtypes
]
LOSSY = [
    ("WAV", "ULAW"), ("WAV", "ALAW"), ("WAV", "IMA_ADPCM"), ("WAV", "MS_ADPCM"), ("WAV", "GSM610"),
    ("WAV", "G721_32"), ("WAV", "NMS_ADPCM_24"), ("WAVEX", "ULAW"), ("RF64", "ALAW"), ("W64", "MS_ADPCM"),
    ("AIFF", "ULAW"), ("AIFF", "IMA_ADPCM"), ("CAF", "ALAW"), ("AU", "G723_40"), ("MP3", "MPEG_LAYER_III"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"),
]  # fmt: skip
OTHERS = [
    ("SVX", "PCM_16"), ("PAF", "PCM_24"), ("AVR", "PCM_16"), ("NIST", "PCM_16"), ("VOC", "PCM_16"),
    ("IRCAM", "FLOAT"), ("MAT4", "DOUBLE"), ("MAT5", "FLOAT"), ("PVF", "PCM_16"), ("SDS", "PCM_16"),
    ("MPC2K", "PCM_16"), ("XI", "DPCM_16"), ("WVE", "ALAW"), ("HTK", "PCM_16"), ("CAF", "ALAC_24"),
    ("CAF", "ALAC_32"), ("AIFF", "DWVW_16"),
]  # fmt: skip


def _sound(size: int = N) -> np.ndarray:
    """Multiples of 1/128: every format holds them exactly."""
    values = np.random.default_rng(0).integers(-100, 100, size) / 128
    return values.astype(np.float32)


def _encoded(container: str, subtype: str, size: int = N) -> bytes:
    rate = 8000 if subtype.startswith(("GSM", "G72", "NMS")) else RATE
    file = io.BytesIO()
    soundfile.write(file, _sound(size), rate, format=container, subtype=subtype)
    return file.getvalue()


def _refused(path: Path, *parts: str, lossy: Lossy = "refused") -> str:
    with pytest.raises(UserError) as caught:
        read_wav(path, lossy=lossy)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


# --- whole, or cut off ----------------------------------------------------------------------------


@pytest.mark.parametrize(("container", "subtype"), LOSSLESS)
def test_whole_it_is_read_and_cut_off_anywhere_it_is_refused(
    tmp_path: Path, container: str, subtype: str
) -> None:
    content, path = _encoded(container, subtype), tmp_path / "a"
    path.write_bytes(content)
    samples, rate = read_wav(path)
    assert rate == RATE
    np.testing.assert_array_equal(samples, _sound())
    for end in (len(content) - 1, len(content) - 500, len(content) * 2 // 3, len(content) // 5, 60, 20, 5):
        path.write_bytes(content[:end])
        _refused(path)


@pytest.mark.parametrize(
    ("container", "subtype"), [("WAV", "PCM_24"), ("W64", "PCM_U8"), ("CAF", "PCM_24"), ("AU", "PCM_24")]
)
def test_an_odd_number_of_bytes_is_filled_up_and_no_sample_more(
    tmp_path: Path, container: str, subtype: str
) -> None:
    (tmp_path / "a").write_bytes(_encoded(container, subtype, N + 1))
    np.testing.assert_array_equal(read_wav(tmp_path / "a").samples, _sound(N + 1))


@pytest.mark.parametrize(
    ("container", "subtype"),
    [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("WAV", "IMA_ADPCM"), ("WAV", "ULAW")],
)
def test_a_lossy_file_is_cut_off_just_so(
    tmp_path: Path, container: str, subtype: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content, path = _encoded(container, subtype, 30000), tmp_path / "a"
    for end in (len(content) - 1, len(content) * 2 // 3, len(content) // 5):
        path.write_bytes(content[:end])
        _refused(path, lossy="taken")
    assert capfd.readouterr().err == ""  # decoders of C have a voice of their own


def test_an_mp3_that_does_not_say_how_long_it_is_is_refused(tmp_path: Path) -> None:
    content = _encoded("MP3", "MPEG_LAYER_III", 30000)
    second = content.index(b"\xff\xfb", 10)
    (tmp_path / "a.mp3").write_bytes(content[second:])  # as ffmpeg's -write_xing 0 does
    _refused(tmp_path / "a.mp3", "without a Xing header", lossy="taken")


# --- another length than the header says ------------------------------------------------------------


def _number(content: bytes, place: int, size: int, order: str, value: int) -> bytes:
    number = value.to_bytes(size, "little" if order == "<" else "big", signed=value < 0)
    return content[:place] + number + content[place + size :]


def _wav(content: bytes, value: int) -> bytes:
    return _number(content, content.index(b"data") + 4, 4, "<", value)


def _rf64(content: bytes, value: int) -> bytes:
    return _number(content, content.index(b"ds64") + 16, 8, "<", value)


def _w64(content: bytes, value: int) -> bytes:
    return _number(content, content.index(b"data") + 16, 8, "<", value + 24)


def _ssnd(content: bytes, value: int) -> bytes:
    return _number(content, content.index(b"SSND") + 4, 4, ">", value + 8)


def _caf(content: bytes, value: int) -> bytes:
    return _number(content, content.index(b"data") + 4, 8, ">", value + 4)


def _au(content: bytes, value: int) -> bytes:
    return _number(content, 8, 4, ">", value)


@pytest.mark.parametrize("change", [-2 * N, -2000, -6, -2, 2, 2000], ids=lambda value: f"{value:+d}")
@pytest.mark.parametrize(
    ("container", "patch"),
    [("WAV", _wav), ("WAVEX", _wav), ("RF64", _rf64), ("W64", _w64), ("AIFF", _ssnd), ("CAF", _caf),
     ("AU", _au)],
)  # fmt: skip
def test_a_length_that_the_header_has_wrong_is_refused(
    tmp_path: Path, container: str, patch: Callable[[bytes, int], bytes], change: int
) -> None:
    content, path = _encoded(container, "PCM_16"), tmp_path / "a"
    path.write_bytes(patch(content, 2 * N))
    assert read_wav(path).samples.size == N, "or the right length was not put in its place"
    path.write_bytes(patch(content, 2 * N + change))
    _refused(path)


@pytest.mark.parametrize("unknown", [0xFFFFFFFF, 0x7FFFFFFF, 0xFFFFFFDB])
def test_a_wav_that_was_streamed_or_never_closed_is_refused(tmp_path: Path, unknown: int) -> None:
    (tmp_path / "a.wav").write_bytes(_wav(_encoded("WAV", "PCM_24"), unknown))
    _refused(tmp_path / "a.wav", "header")


def test_an_unfinished_header_is_called_so(tmp_path: Path) -> None:
    content = _encoded("WAV", "PCM_24")
    for value in (0, 0xFFFFFFFF):
        (tmp_path / "a.wav").write_bytes(_wav(content, value))
        _refused(tmp_path / "a.wav", "its header was never finished")
    caf = _encoded("CAF", "PCM_24")
    (tmp_path / "a.caf").write_bytes(_number(caf, caf.index(b"data") + 4, 8, ">", -1))
    _refused(tmp_path / "a.caf", "its header was never finished")


@pytest.mark.parametrize("count", [0, 1, N // 2, N - 1, N + 1, 2 * N])
def test_another_number_of_samples_in_aiff_and_flac_is_refused(tmp_path: Path, count: int) -> None:
    aiff = _encoded("AIFF", "PCM_16")
    (tmp_path / "a.aiff").write_bytes(_number(aiff, aiff.index(b"COMM") + 10, 4, ">", count))
    _refused(tmp_path / "a.aiff")
    flac = _encoded("FLAC", "PCM_16")
    info = int.from_bytes(flac[18:26], "big") >> 36 << 36
    (tmp_path / "a.flac").write_bytes(_number(flac, 18, 8, ">", info | count))
    _refused(tmp_path / "a.flac")


def test_one_bit_of_a_flac_file_is_missed(tmp_path: Path) -> None:
    content = bytearray(_encoded("FLAC", "PCM_24"))
    content[len(content) // 2] ^= 0x10
    (tmp_path / "a.flac").write_bytes(content)
    _refused(tmp_path / "a.flac")


def test_what_follows_the_sound_may_be_a_chunk(tmp_path: Path) -> None:
    content = _encoded("WAV", "PCM_24", N + 1)  # odd: filled up with a byte, which some programs leave out
    note = b"LIST" + (12).to_bytes(4, "little") + b"INFOIART\0\0\0\0"
    for whole in (content + note, content[:-1] + note, content + note + note):
        (tmp_path / "a.wav").write_bytes(whole)
        assert read_wav(tmp_path / "a.wav").samples.size == N + 1
    (tmp_path / "a.wav").write_bytes(content + note[:-4])
    _refused(tmp_path / "a.wav")


# --- lossy, or another kind -------------------------------------------------------------------------


@pytest.mark.parametrize(("container", "subtype"), LOSSY)
def test_a_lossy_file_is_refused_or_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, container: str, subtype: str
) -> None:
    path = tmp_path / "take.wav"
    path.write_bytes(_encoded(container, subtype, 8000))
    _refused(path, "is lossy (", "WAV or FLAC")
    assert caplog.messages == []
    with caplog.at_level(logging.INFO):
        assert read_wav(path, lossy="noticed").samples.size >= 8000
    assert len(caplog.records) == 1
    assert caplog.records[0].levelno == logging.WARNING
    assert caplog.messages[0].startswith(f"{path}: is lossy (")
    read_wav(path, lossy="taken")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(("container", "subtype"), OTHERS)
def test_a_kind_of_file_whose_length_is_not_checked_is_refused(
    tmp_path: Path, container: str, subtype: str
) -> None:
    path = tmp_path / "take.wav"
    path.write_bytes(_encoded(container, subtype))
    _refused(path, "export the recording as WAV or FLAC")


@pytest.mark.parametrize(
    "name", ["take.raw", "TAKE.RAW", "take.pcm", "take.vox", "take.gsm", "take.wav", "take"]
)
def test_samples_without_a_header_are_refused_in_a_line(tmp_path: Path, name: str) -> None:
    (np.sin(np.arange(9600) / 10) * 9000).astype("<i2").tofile(tmp_path / name)
    _refused(tmp_path / name, "not an audio file that can be read")


@pytest.mark.parametrize(
    "name",
    ["take.raw", "take.RAW", "TAKE.WAV", "take", "take.mp3", "take.sd2", "take.vox", "ünï cödé (1) = #.wav",
     "日本.flac", " .wav", "take.wav.", "-", os.fsdecode(b"caf\xe9.wav")],
)  # fmt: skip
def test_the_content_counts_and_not_the_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for container in ("WAV", "FLAC", "AIFF"):
        path.write_bytes(_encoded(container, "PCM_16"))
        np.testing.assert_array_equal(read_wav(path).samples, _sound())


def test_a_damaged_file_is_named_and_not_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\x24\0\0\0WAVEdata\x04\0\0\0abcd")  # no format
    message = _refused(tmp_path / "a.wav", "not an audio file that can be read")
    assert "Error opening" not in message


def test_blocks_of_a_packed_file_are_checked_at_the_end(tmp_path: Path) -> None:
    flac = _encoded("FLAC", "PCM_16")
    info = int.from_bytes(flac[18:26], "big") >> 36 << 36
    (tmp_path / "a.flac").write_bytes(_number(flac, 18, 8, ">", info | N - 8))
    with open_wav(tmp_path / "a.flac") as wav, pytest.raises(UserError, match="not those that its checksum"):
        list(wav.blocks(1000))


def test_what_namexp_writes_is_whole(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", _sound(N + 1), RATE)
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav").samples, _sound(N + 1))

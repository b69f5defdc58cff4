"""Audio files. The only place that imports soundfile."""

from __future__ import annotations

import hashlib
import io
import logging
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from namexp.atomic import write_atomically
from namexp.audio.containers import Stated, UnsoundError, stated
from namexp.errors import UserError, one_line

log = logging.getLogger(__name__)

Samples = NDArray[np.float32]


class Recording(NamedTuple):
    """A mono recording: (L,) float32 samples, full scale = 1.0."""

    samples: Samples
    sample_rate: int


BLOCK = 1 << 20  # samples read at a time

# What becomes of a lossy file: it is no recording, but may be played. "noticed" says so, "taken" does not.
Lossy = Literal["refused", "noticed", "taken"]

_WIDTHS = {
    "PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip
_UNREAD = ("ALAC", "DWVW")  # lossless, but not always as libsndfile decodes them


def read_wav(path: Path | str, *, lossy: Lossy = "refused") -> Recording:
    """Read a mono file as a whole: WAV (RF64 and W64 too), AIFF, CAF, AU or FLAC, whatever it is called.

    Integer formats are divided by 2 ** (bits - 1); 8-bit WAV is unsigned, its zero is 128.

    Args:
        path: of the file.
        lossy: what becomes of MP3, Ogg, and WAVs and others that hold ADPCM, mu-law and the like.

    Raises:
        UserError: missing, not audio, not mono, empty, cut off, lossy, or with samples that are not finite.
    """
    with open_wav(path, lossy=lossy) as wav:
        return Recording(np.concatenate(list(wav.blocks())), wav.sample_rate)


@contextmanager
def open_wav(path: Path | str, *, lossy: Lossy = "refused") -> Iterator[WavReader]:
    """Open what ``read_wav`` reads, to read it in blocks.

    Raises:
        UserError: as ``read_wav``; samples that are not finite, and packed ones that are not as many as the
            header says, only when they are read.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(
                path.open("rb", buffering=0)
            )  # libsndfile reads on from where it stands
            said = stated(raw)
            raw.seek(0)
            # not by its name, from which libsndfile would guess a format
            file = stack.enter_context(soundfile.SoundFile(raw.fileno(), closefd=False)) if said else None
        except UnsoundError as error:
            raise UserError(f"{path}: {error}") from None
        except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
            raise _unreadable(path, error) from None
        if said is None or file is None:
            raise UserError(
                f"{path}: not an audio file that can be read: it is none of WAV, RF64, W64, AIFF, CAF, AU "
                "and FLAC; export the recording as WAV or FLAC."
            )
        _check_coding(path, file, lossy)
        if file.channels != 1:
            raise UserError(
                f"{path}: has {file.channels} channels and must have 1; export the recording as mono."
            )
        _check_length(path, file, said)
        yield WavReader(path, file, said.md5)


def _check_coding(path: Path, file: soundfile.SoundFile, lossy: Lossy) -> None:
    coding = file.subtype
    if coding.startswith(_UNREAD):
        raise UserError(f"{path}: {coding} is not read; export the recording as WAV or FLAC.")
    if coding in _WIDTHS or lossy == "taken":
        return
    name = coding if coding.upper() != "MPEG_LAYER_III" else "MP3"
    if lossy == "refused":
        raise UserError(
            f"{path}: is lossy ({name}), so it is not what was recorded, and may begin late; export the "
            "recording as WAV or FLAC, and not from this file."
        )
    log.warning("%s: is lossy (%s): not what was recorded, and it may begin late", path, name)


def _check_length(path: Path, file: soundfile.SoundFile, said: Stated) -> None:
    if file.frames <= 0:
        raise UserError(f"{path}: holds no samples.")
    width = _WIDTHS.get(file.subtype)
    if width is None:
        return
    counts = [said.num_samples, None if said.data_bytes is None else said.data_bytes // width]
    for count in counts:
        if count not in (None, file.frames):
            raise UserError(
                f"{path}: its header says {count} samples and {file.frames} are found; open it in an audio "
                "editor, see that it is whole, and export it."
            )


class WavReader:
    """An open mono recording, to be read once."""

    def __init__(self, path: Path, file: soundfile.SoundFile, md5: bytes | None = None) -> None:
        self._path, self._file, self._md5 = path, file, md5
        self.sample_rate: int = file.samplerate
        self.num_samples: int = file.frames

    def read_through(self) -> None:
        """Read to the end and keep nothing, to know that it can be done.

        Raises:
            UserError: as ``blocks``.
        """
        deque(self.blocks(), maxlen=0)

    def blocks(self, size: int = BLOCK) -> Iterator[Samples]:
        """(up to size,) float32 samples at a time, to the end.

        Raises:
            UserError: the file is damaged or has samples that are not finite; those before have been given.
        """
        start, digest = 0, hashlib.md5(usedforsecurity=False)
        while start < self.num_samples:
            try:
                block = self._file.read(size, dtype="float64")
            except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
                raise self._cut_off(start, error) from None
            if block.size == 0:
                raise self._cut_off(start)
            if self._md5 is not None:
                digest.update(_stored(block, _WIDTHS[self._file.subtype]))
            with np.errstate(over="ignore"):  # a double beyond float32 becomes inf and is refused below
                mono = block.astype(np.float32)
            if not np.isfinite(mono).all():
                bad = int(np.flatnonzero(~np.isfinite(mono))[0])
                place = f"sample {start + bad} is {mono[bad]}"
                raise UserError(f"{self._path}: {place}; the file is damaged, record it again.")
            start += mono.size
            yield mono
        if self._md5 not in (None, digest.digest()):
            raise UserError(
                f"{self._path}: its samples are not those that its checksum says: it is damaged, or not "
                "whole; copy or export it again."
            )

    def _cut_off(self, start: int, error: Exception | None = None) -> UserError:
        why = "" if error is None else f" ({_reason(error)})"
        return UserError(
            f"{self._path}: is cut off or damaged: its header says {self.num_samples} samples, and after "
            f"{start} of them no more can be read{why}; copy or export it again."
        )


def _stored(block: NDArray[np.float64], width: int) -> bytes:
    """The samples as a FLAC file's checksum sees them: integers of ``width`` bytes, the low one first."""
    integers = (block * 2.0 ** (8 * width - 1)).astype("<i4")
    return integers.view(np.uint8).reshape(-1, 4)[:, :width].tobytes()


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: not an audio file that can be read: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Without what libsndfile calls the file, a number."""
    return one_line(error).removeprefix(getattr(error, "prefix", ""))


def write_wav(path: Path | str, samples: Samples, sample_rate: int) -> None:
    """Write (L,) samples as 32-bit float WAV, under a temporary name first."""
    write_wav_blocks(path, [samples], sample_rate)


def write_wav_blocks(
    path: Path | str, blocks: Iterable[Samples], sample_rate: int, *, pcm16: bool = False
) -> None:
    """Write blocks of samples, one after the other, as ``write_wav`` does.

    Whatever ``blocks`` raises goes on; ``path`` is then as it was.

    Args:
        path: of the file.
        blocks: (L,) samples each.
        sample_rate: Hz.
        pcm16: as 16-bit integers; what lies beyond full scale is cut off at it, and never wraps around.
    """
    subtype = "PCM_16" if pcm16 else "FLOAT"

    def write(temporary: Path) -> None:
        with soundfile.SoundFile(
            temporary, "w", samplerate=sample_rate, channels=1, subtype=subtype, format="WAV"
        ) as file:
            for block in blocks:
                file.write(_pcm16(block) if pcm16 else block)

    write_atomically(Path(path), write)


def _pcm16(samples: Samples) -> NDArray[np.int16]:
    scaled = np.rint(samples.astype(np.float64) * 2**15)
    return np.clip(scaled, -(2**15), 2**15 - 1).astype(np.int16)


def write_flac(path: Path | str, samples: Samples, sample_rate: int, *, bits: int = 24) -> None:
    """Write (L,) samples as FLAC of 16 or 24 bits, under a temporary name first.

    Raises:
        ValueError: a sample lies beyond full scale, where an integer format would clip it.
    """
    path = Path(path)
    content = flac_bytes(samples, sample_rate, bits=bits)
    write_atomically(path, lambda temporary: _fill(temporary, content))


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def flac_bytes(samples: Samples, sample_rate: int, *, bits: int) -> bytes:
    """(L,) samples as the bytes of a FLAC file of 16 or 24 bits.

    Raises:
        ValueError: a sample is not finite or lies beyond full scale.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if not peak <= 1.0:
        raise ValueError(f"FLAC holds samples up to full scale (1.0), got a peak of {peak:g}.")
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, subtype=f"PCM_{bits}", format="FLAC")
    return file.getvalue()


def sha256_of(samples: Samples, sample_rate: int) -> str:
    """Identity of a recording's content: its float32 samples and its rate."""
    digest = hashlib.sha256(f"{sample_rate}\n".encode())
    digest.update(np.ascontiguousarray(samples, dtype="<f4").tobytes())
    return digest.hexdigest()

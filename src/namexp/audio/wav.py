"""Audio files. The only place that imports soundfile."""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from namexp.atomic import write_atomically
from namexp.errors import UserError

Samples = NDArray[np.float32]


class Recording(NamedTuple):
    """A mono recording: (L,) float32 samples, full scale = 1.0."""

    samples: Samples
    sample_rate: int


BLOCK = 1 << 20  # samples read at a time


def read_wav(path: Path | str) -> Recording:
    """Read a mono file of any format that libsndfile knows (PCM 8 to 32, float, FLAC, ...).

    Integer formats are divided by 2 ** (bits - 1); 8-bit WAV is unsigned, its zero is 128.

    Raises:
        UserError: missing, not audio, not mono, empty, or with samples that are not finite.
    """
    with open_wav(path) as wav:
        return Recording(np.concatenate(list(wav.blocks())), wav.sample_rate)


@contextmanager
def open_wav(path: Path | str) -> Iterator[WavReader]:
    """Open what ``read_wav`` reads, to read it in blocks.

    Raises:
        UserError: as ``read_wav``; samples that are not finite only when their block is read.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise _unreadable(path, error) from None
    with file:
        if file.channels != 1:
            raise UserError(
                f"{path}: has {file.channels} channels and must have 1; export the recording as mono."
            )
        if file.frames == 0:
            raise UserError(f"{path}: holds no samples.")
        yield WavReader(path, file)


class WavReader:
    """An open mono recording."""

    def __init__(self, path: Path, file: soundfile.SoundFile) -> None:
        self._path, self._file = path, file
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
            UserError: the file is damaged or has samples that are not finite.
        """
        start = 0
        while start < self.num_samples:
            try:
                block = self._file.read(size, dtype="float64")
            except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
                raise _unreadable(self._path, error) from None
            if block.size == 0:
                break
            with np.errstate(over="ignore"):  # a double beyond float32 becomes inf and is refused below
                mono = block.astype(np.float32)
            if not np.isfinite(mono).all():
                bad = int(np.flatnonzero(~np.isfinite(mono))[0])
                place = f"sample {start + bad} is {mono[bad]}"
                raise UserError(f"{self._path}: {place}; the file is damaged, record it again.")
            start += mono.size
            yield mono


def _unreadable(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: not an audio file that can be read: {error}")


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

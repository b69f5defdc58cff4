"""Audio files. The only place that imports soundfile."""

from __future__ import annotations

import hashlib
import io
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


def read_wav(path: Path | str) -> Recording:
    """Read a mono file of any format that libsndfile knows (PCM 8 to 32, float, FLAC, ...).

    Integer formats are divided by 2 ** (bits - 1); 8-bit WAV is unsigned, its zero is 128.

    Raises:
        UserError: missing, not audio, not mono, empty, or with samples that are not finite.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    try:
        samples, sample_rate = soundfile.read(path, dtype="float64", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError, OSError) as error:
        raise UserError(f"{path}: not an audio file that can be read: {error}") from None
    if samples.shape[1] != 1:
        raise UserError(
            f"{path}: has {samples.shape[1]} channels and must have 1; export the recording as mono."
        )
    if samples.shape[0] == 0:
        raise UserError(f"{path}: holds no samples.")
    with np.errstate(over="ignore"):  # a double beyond float32 becomes inf and is refused below
        mono = samples[:, 0].astype(np.float32)
    if not np.isfinite(mono).all():
        bad = int(np.flatnonzero(~np.isfinite(mono))[0])
        raise UserError(f"{path}: sample {bad} is {mono[bad]}; the file is damaged, record it again.")
    return Recording(mono, sample_rate)


def write_wav(path: Path | str, samples: Samples, sample_rate: int) -> None:
    """Write (L,) samples as 32-bit float WAV, under a temporary name first."""
    write_atomically(
        Path(path),
        lambda temporary: soundfile.write(temporary, samples, sample_rate, subtype="FLOAT", format="WAV"),
    )


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

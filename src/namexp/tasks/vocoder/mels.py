"""Mel spectrograms from files, whoever wrote them: read, brought to our scale, and doubted.

Ours is the natural logarithm of a magnitude, cut off at 1e-5. Letters: M mels, F frames.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from namexp.errors import UserError, one_line
from namexp.reading.regular import MEGABYTE, open_regular

LIMIT = 1000 * MEGABYTE  # an hour and more
Mel = NDArray[np.float32]
MelScale = Literal["natural", "log10", "db", "linear", "normalized"]

LEAST = 1e-5  # magnitudes are cut off here
SILENCE = math.log(LEAST)
LOWEST = SILENCE - 8.0  # beyond these it is another scale
HIGHEST = 10.0
LOUDEST = 3.0  # a sine at full scale reaches 2
DEEPEST_FLOOR = math.log(1e-16)
LOWEST_DB, HIGHEST_DB = -300.0, 100.0
NOTABLE = 0.1  # of the mean, in natural logarithms, and of the ratio of spreads
REFERENCE_DB, RANGE_DB = 20.0, 100.0  # the usual normalisation: 0 is 100 dB below a magnitude of 10

TO_NATURAL: dict[MelScale, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "natural": lambda mel: mel,
    "log10": lambda mel: mel * math.log(10.0),
    "db": lambda mel: mel * (math.log(10.0) / 20.0),
    "linear": lambda mel: np.log(np.maximum(mel, LEAST)),
    "normalized": lambda mel: (mel * RANGE_DB - RANGE_DB + REFERENCE_DB) * (math.log(10.0) / 20.0),
}
MEANING: dict[MelScale, str] = {
    "natural": "natural logarithm of the magnitude, as here",
    "log10": "decadic logarithm of the magnitude",
    "db": "20 log10 of the magnitude",
    "linear": "the magnitude itself",
    "normalized": "0 to 1 for -80 to 20 dB",
}


def read_mel(path: Path | str, n_mels: int, *, scale: MelScale = "natural") -> Mel:
    """(M, F) of a ``.npy`` file of (M, F) or (1, M, F), in natural logarithms.

    Args:
        path: of the file; nothing in it is run.
        n_mels: M of the model.
        scale: of the values in the file. What lies below 1e-5 is raised to it, as the model knows it.

    Raises:
        UserError: it cannot be read, has another shape, is not finite, or is in another scale.
    """
    values = _array(Path(path), n_mels)
    if not np.isfinite(values).all():
        bad = np.argwhere(~np.isfinite(values))[0]
        raise UserError(
            f"{path}: mel {bad[0]} of frame {bad[1]} is {values[tuple(bad)]}; all values must be finite."
        )
    mel = TO_NATURAL[scale](values.astype(np.float64))
    _refuse_other_scale(path, values, mel, scale)
    if scale != "natural":
        mel = np.maximum(mel, SILENCE)
    return np.ascontiguousarray(mel, dtype=np.float32)


def _array(path: Path, n_mels: int) -> NDArray[np.floating]:
    """The content as (M, F), its shape and type checked before there is memory for it."""
    with open_regular(path, LIMIT) as file:
        shape, backwards, dtype = _header(path, file)
        _check_header(path, shape, dtype, n_mels)
        needed, held = math.prod(shape) * dtype.itemsize, os.fstat(file.fileno()).st_size - file.tell()
        if held < needed:
            raise UserError(
                f"{path}: is cut off: {shape} of {dtype} needs {needed} bytes and {held} are there."
            )
        values = np.fromfile(file, dtype, count=math.prod(shape))
    array = values.reshape(shape, order="F" if backwards else "C")
    return array[0] if array.ndim == 3 else array


def _header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first index runs fastest, and type."""
    try:
        version = np.lib.format.read_magic(file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python 2, whose files are as good
            if version == (1, 0):
                return np.lib.format.read_array_header_1_0(file)
            if version == (2, 0):
                return np.lib.format.read_array_header_2_0(file)
    except Exception as error:  # a parser of Python's literals: on a stranger's bytes it raises anything
        raise UserError(f"{path}: not a .npy file that can be read: {one_line(error)[:200]}") from None
    raise UserError(f"{path}: is not a .npy file that can be read: version {version}; save it by numpy.save.")


def _check_header(path: Path, shape: tuple[int, ...], dtype: np.dtype, n_mels: int) -> None:
    if dtype.hasobject:
        raise UserError(f"{path}: holds pickled objects, which could run code; save a plain array of floats.")
    if dtype.kind != "f":
        raise UserError(f"{path}: holds {dtype}; a mel spectrogram is float32 (or float16, float64).")
    expected = f"({n_mels}, frames) or (1, {n_mels}, frames)"
    if (
        len(shape) not in (2, 3)
        or any(type(size) is not int for size in shape)
        or (len(shape) == 3 and shape[0] != 1)
    ):
        raise UserError(f"{path}: has the shape {shape} and must have {expected}.")
    mels, frames = shape[-2:]
    if mels != n_mels:
        hint = (
            "; it lies on its side, transpose it" if frames == n_mels else ", as many mels as the model takes"
        )
        raise UserError(f"{path}: has the shape {shape} and must have {expected}{hint}.")
    if frames < 1:
        raise UserError(f"{path}: has the shape {shape}: no frames.")


def _refuse_other_scale(
    path: Path | str, values: NDArray[np.floating], mel: NDArray[np.float64], scale: MelScale
) -> None:
    low, high = float(mel.min()), float(mel.max())
    if low >= LOWEST and high <= HIGHEST:
        return
    lowest, highest = float(values.min()), float(values.max())
    found = f"{path}: its values lie between {lowest:.4g} and {highest:.4g}"
    if scale != "natural":
        raise UserError(
            f"{found}, which as --mel-scale {scale} ({MEANING[scale]}) gives natural logarithms of {low:.4g} "
            f"to {high:.4g}, and only {LOWEST:.4g} to {HIGHEST:g} is possible; name the scale that it has."
        )
    raise UserError(
        f"{found}, and natural logarithms of magnitudes lie between {SILENCE:.4g} and about {LOUDEST:g}; "
        f"{_likely(lowest, highest)}"
    )


def _likely(lowest: float, highest: float) -> str:
    """What values beyond the natural scale are, and what to do."""
    if lowest >= 0.0:
        return f"it is likely {MEANING['linear']}: try --mel-scale linear."
    if lowest >= DEEPEST_FLOOR and highest <= LOUDEST:
        return (
            f"it is likely a natural logarithm with a floor below 1e-5: raise it to {SILENCE:.4g} "
            "(numpy.maximum), or, if it is in dB, try --mel-scale db."
        )
    if LOWEST_DB <= lowest < LOWEST and highest <= HIGHEST_DB:
        return f"it is likely in dB ({MEANING['db']}): try --mel-scale db."
    return f"its scale is none of {', '.join(MEANING)}: convert it before, to the natural logarithm."


def remarks(mel: Mel, scale: MelScale = "natural") -> list[str]:
    """What is odd about a mel that was read, though it is possible: one line each."""
    low, high = float(mel.min()), float(mel.max())
    said = []
    if low < SILENCE - 0.01:
        said.append(
            f"values down to {low:.4g}, below ln 1e-5 = {SILENCE:.4g} where the model's mel is cut off: "
            "it was made with another floor"
        )
    if high > LOUDEST:
        said.append(f"values up to {high:.4g}, louder than full scale can be (about {LOUDEST:g})")
    if scale == "natural":
        said += _doubts(low, high)
    return said


def _doubts(low: float, high: float) -> list[str]:
    """Ranges that other scales have."""
    if low >= 0.0:
        name = "0..1, normalised (--mel-scale normalized) or linear (--mel-scale linear)"
        return [f"no value is below 0 ({low:.4g} to {high:.4g}), as in {name}"] if high <= 1.0 else [
            f"no value is below 0 ({low:.4g} to {high:.4g}), as of magnitudes (--mel-scale linear)"
        ]  # fmt: skip
    if abs(low + 5.0) < 1e-3:
        return ["its lowest value is log10 of 1e-5 (--mel-scale log10)"]
    if abs(low + 4.0) < 1e-3 and high <= 4.001:
        return ["its values lie between -4 and 4, as of a normalised mel: convert it before"]
    return []


# --- beside what was learned from ---------------------------------------------------------------------


def unlike(mel: Mel, statistics: Mapping[str, Any]) -> list[str]:
    """How a mel differs from those of a training, one line for its mean and one for its spread.

    Args:
        mel: (M, F), of one clip or of several beside each other: one alone differs a little by chance.
        statistics: ``mean`` and ``std`` of every bin, M each.
    """
    means, deviations = (np.asarray(statistics[key], dtype=np.float64) for key in ("mean", "std"))
    mean = float(means.mean())
    spread = math.sqrt(float((deviations**2 + (means - mean) ** 2).mean()))
    values = mel.astype(np.float64)
    said = []
    offset = float(values.mean()) - mean
    if round(abs(offset), 3) >= NOTABLE:
        said.append(
            f"its mean is {values.mean():.2f} and that of the training's mels {mean:.2f}: a louder or "
            "quieter voice, or another floor under the logarithm, which sounds of noise or metal"
        )
    ratio = float(values.std()) / spread if spread else 1.0
    if round(abs(ratio - 1.0), 3) >= NOTABLE:
        said.append(
            f"its spread is {values.std():.2f} and that of the training's mels {spread:.2f}: "
            f"{_other_logarithm(ratio)}"
        )
    return said


def _other_logarithm(ratio: float) -> str:
    factors: dict[MelScale, float] = {"log10": 1.0 / math.log(10.0), "db": 20.0 / math.log(10.0)}
    for scale, factor in factors.items():
        if abs(ratio / factor - 1.0) < 0.25:
            return f"it may be {MEANING[scale]}, try --mel-scale {scale}"
    return "they are made in another way, or of other voices"

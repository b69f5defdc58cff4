from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest

from namexp.errors import UserError
from namexp.tasks.vocoder.mels import SILENCE, MelScale, read_mel, remarks, unlike


def _mel(frames: int = 30) -> np.ndarray:
    """(80, F) of natural logarithms as speech has them, silence among them."""
    values = np.random.RandomState(1).uniform(-10, 1.5, (80, frames))
    values[:, 0] = SILENCE
    return values.astype(np.float32)


def _saved(directory: Path, array: np.ndarray) -> Path:
    np.save(directory / "m.npy", array, allow_pickle=True)
    return directory / "m.npy"


@pytest.mark.parametrize("shape", [(80, 30), (1, 80, 30)])
@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4"])
def test_both_shapes_and_any_float(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    mel = read_mel(_saved(tmp_path, _mel().reshape(shape).astype(dtype)), 80)
    assert mel.dtype == np.float32
    assert mel.flags.c_contiguous
    np.testing.assert_array_equal(mel, _mel())


def test_columns_first(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mel(_saved(tmp_path, np.asfortranarray(_mel())), 80), _mel())


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (_mel()[:79], r"has the shape (79, 30) and must have (80, frames) or (1, 80, frames), as many mels"),
        (
            _mel().T,
            "has the shape (30, 80) and must have (80, frames) or (1, 80, frames); it lies on its side",
        ),
        (_mel()[:, :0], "has the shape (80, 0): no frames"),
        (_mel()[0], "has the shape (30,) and must have"),
        (np.stack([_mel(), _mel()]), "has the shape (2, 80, 30) and must have"),
        (_mel()[None, None], "has the shape (1, 1, 80, 30) and must have"),
        (np.float32(3.0), "has the shape () and must have"),
        (_mel().astype(np.int16), "holds int16; a mel spectrogram is float32"),
        (_mel().astype(np.complex64), "holds complex64"),
        (np.array([{"a": 1}], dtype=object), "holds pickled objects, which could run code"),
        (np.where(np.arange(30) == 7, np.nan, _mel()), "mel 0 of frame 7 is nan; all values must be finite"),
        (np.where(np.arange(30) == 7, -np.inf, _mel()), "mel 0 of frame 7 is -inf"),
        (np.full((80, 30), math.log(1e-300)), "its scale is none of natural, log10"),
    ],
)
def test_arrays_that_are_no_mel(tmp_path: Path, array: np.ndarray, said: str) -> None:
    path = _saved(tmp_path, array)
    with pytest.raises(UserError) as caught:
        read_mel(path, 80)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('the file was run')",)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    path = _saved(tmp_path, np.array([_Trap()], dtype=object))
    with pytest.raises(UserError, match="pickled"):
        read_mel(path, 80)
    path.write_bytes(pickle.dumps(_Trap()))
    with pytest.raises(UserError, match=r"not a \.npy file"):
        read_mel(path, 80)


def _header(shape: str) -> bytes:
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    padded = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a .npy file"),
        (b"\x93NUMPY", "not a .npy file"),
        (b"text, not numbers", "not a .npy file"),
        (b"\x93NUMPY\x09\x00" + bytes(200), "not a .npy file that can be read: version (9, 0)"),
        (_header("(80, 10)"), "is cut off: (80, 10) of float32 needs 3200 bytes and 0 are there"),
        (_header("(80, 10)") + bytes(3199), "needs 3200 bytes and 3199 are there"),
        (_header("(80, 10**15)"), "not a .npy file"),
        (_header("(80, 1000000000000000)") + bytes(64), "is cut off"),
        (_header("(80, -1)") + bytes(64), "no frames"),
        (_header("(80, True)") + bytes(640), "has the shape"),
        (_header("__import__('os')"), "not a .npy file"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f" + bytes(64), "not a .npy file"),
    ],
)
def test_damaged_files(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "m.npy"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_mel(path, 80)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(path))


def test_archives_and_missing_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "m.npz", mel=_mel())
    (tmp_path / "m.npz").rename(tmp_path / "m.npy")
    with pytest.raises(UserError, match=r"not a \.npy file"):
        read_mel(tmp_path / "m.npy", 80)
    with pytest.raises(UserError, match="no such file"):
        read_mel(tmp_path / "gone.npy", 80)


# --- scales -----------------------------------------------------------------------------------------

MAGNITUDE = np.exp(_mel().astype(np.float64))
SCALES: dict[MelScale, np.ndarray] = {
    "natural": np.log(MAGNITUDE),
    "log10": np.log10(MAGNITUDE),
    "db": 20 * np.log10(MAGNITUDE),
    "linear": MAGNITUDE,
    "normalized": (20 * np.log10(MAGNITUDE) - 20 + 100) / 100,
}


@pytest.mark.parametrize("scale", SCALES)
def test_other_scales_become_ours(tmp_path: Path, scale: MelScale) -> None:
    mel = read_mel(_saved(tmp_path, SCALES[scale]), 80, scale=scale)
    np.testing.assert_allclose(mel, _mel(), rtol=0, atol=2e-6)


def test_what_another_scale_has_below_our_floor_is_raised_to_it(tmp_path: Path) -> None:
    path = _saved(tmp_path, np.full((80, 4), -130.0))  # dB
    assert (read_mel(path, 80, scale="db") == np.float32(SILENCE)).all()
    assert (read_mel(_saved(tmp_path, np.zeros((80, 4))), 80, scale="linear") == np.float32(SILENCE)).all()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (SCALES["db"], "try --mel-scale db."),
        (MAGNITUDE * 30.0, "try --mel-scale linear."),
        (np.log(np.maximum(MAGNITUDE - 1e-4, 1e-10)), "a floor below 1e-5: raise it to -11.51"),
        (np.log(MAGNITUDE) + 9.0, "its scale is none of"),
    ],
)
def test_impossible_ranges_are_refused_with_the_likely_scale(
    tmp_path: Path, values: np.ndarray, said: str
) -> None:
    with pytest.raises(UserError) as caught:
        read_mel(_saved(tmp_path, values), 80)
    assert said in str(caught.value)


@pytest.mark.parametrize(("low", "high"), [(SILENCE - 7.99, 0.0), (SILENCE, 9.99)])
def test_the_limits_themselves_are_let_through_and_remarked_on(
    tmp_path: Path, low: float, high: float
) -> None:
    values = _mel()
    values[0, 0], values[1, 0] = low, high
    assert len(remarks(read_mel(_saved(tmp_path, values), 80))) == 1
    values[0, 0] = SILENCE - 8.01
    with pytest.raises(UserError, match="lie between"):
        read_mel(_saved(tmp_path, values), 80)


def test_a_scale_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"as --mel-scale log10 .* gives natural logarithms of -230\.3"):
        read_mel(_saved(tmp_path, SCALES["db"]), 80, scale="log10")


def test_remarks(tmp_path: Path) -> None:
    assert remarks(_mel()) == []
    (floor,) = remarks(np.full((80, 3), math.log(1e-8), dtype=np.float32))
    assert "another floor" in floor
    (unit,) = remarks(SCALES["normalized"].astype(np.float32).clip(0, 1))
    assert "--mel-scale normalized" in unit
    assert "--mel-scale linear" in unit
    (linear,) = remarks(MAGNITUDE.astype(np.float32).clip(0, 2.9))
    assert "--mel-scale linear" in linear
    (decadic,) = remarks(SCALES["log10"].astype(np.float32))
    assert "--mel-scale log10" in decadic
    (symmetric,) = remarks(np.linspace(-4, 2.5, 80 * 3, dtype=np.float32).reshape(80, 3))
    assert "between -4 and 4" in symmetric
    assert remarks(SCALES["log10"].astype(np.float32), "log10") == []


# --- beside what was learned from -------------------------------------------------------------------


def _statistics(mel: np.ndarray) -> dict[str, list[float]]:
    values = mel.astype(np.float64)
    return {"mean": values.mean(axis=1).tolist(), "std": values.std(axis=1).tolist()}


def test_the_mels_of_a_training_are_like_themselves() -> None:
    slope = _mel(500) * 0.3 + np.linspace(-2, -8, 80, dtype=np.float32)[:, None]
    assert unlike(slope, _statistics(slope)) == []
    assert unlike(slope + 0.099, _statistics(slope)) == []
    assert unlike(slope * 1.099 - 0.099 * slope.mean(), _statistics(slope)) == []


def test_a_tenth_in_mean_or_scale_is_said() -> None:
    mel = _mel(500)
    statistics = _statistics(mel)
    for shift in (0.1, -0.1, 2.0):
        (said,) = unlike(mel + np.float32(shift), statistics)
        assert (
            f"its mean is {mel.mean() + shift:.2f} and that of the training's mels {mel.mean():.2f}" in said
        )
    for factor in (1.1, 0.9):
        (said,) = unlike((mel - mel.mean()) * factor + mel.mean(), statistics)
        assert f"its spread is {mel.std() * factor:.2f}" in said


@pytest.mark.parametrize("scale", ["log10", "db"])
def test_another_logarithm_is_recognised_by_its_spread(scale: MelScale) -> None:
    said = unlike(SCALES[scale].astype(np.float32), _statistics(_mel()))
    assert f"try --mel-scale {scale}" in said[1]

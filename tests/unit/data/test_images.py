"""Images from files and drawn ones."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from namexp.data.images import (
    cifar10_files,
    digest_of_images,
    files_to_test_on,
    read_images,
    read_set,
    svhn_files,
)
from namexp.data.procedural_images import TRAIN, VALIDATION, Pixels, embedded_images
from namexp.errors import UserError


def some(count: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def write_cifar10(folder: Path, per_file: int = 2) -> Pixels:
    """The binary version; all of its images, in their order."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    images = some(per_file * len(names))
    for i, name in enumerate(names):
        own = images[i * per_file : (i + 1) * per_file].reshape(per_file, -1)
        labels = np.full((per_file, 1), i, dtype=np.uint8)
        (folder / name).write_bytes(np.concatenate([labels, own], axis=1).tobytes())
    return images


def write_svhn(folder: Path) -> Pixels:
    folder.mkdir(parents=True, exist_ok=True)
    images = some(5)
    for name, part in (("train", images[:3]), ("test", images[3:])):
        X = part.transpose(2, 3, 1, 0)
        savemat(folder / f"{name}_32x32.mat", {"X": X, "y": np.ones((X.shape[-1], 1))})
    return images


def test_the_embedded_set_is_always_the_same_and_varied() -> None:
    train, validation = embedded_images()
    assert train.shape == (TRAIN, 3, 32, 32)
    assert validation.shape == (VALIDATION, 3, 32, 32)
    assert train.dtype == np.uint8
    assert digest_of_images(train) == digest_of_images(embedded_images().train)
    assert len(np.unique(np.concatenate([train, validation]).reshape(-1, 3072), axis=0)) == TRAIN + VALIDATION
    assert 100 < train.mean() < 155
    assert 50 < train.std() < 90
    neighbours = np.corrcoef(train[..., :-1].ravel()[::97], train[..., 1:].ravel()[::97])[0, 1]
    assert neighbours > 0.8


@pytest.mark.parametrize("folder", ["", "cifar-10-batches-bin"])
def test_cifar10(tmp_path: Path, folder: str) -> None:
    images = write_cifar10(tmp_path / folder)
    found = read_set(cifar10_files(tmp_path))
    np.testing.assert_array_equal(found.train, images[:10])
    np.testing.assert_array_equal(found.validation, images[10:])
    assert [path.name for path in files_to_test_on(tmp_path)] == ["test_batch.bin"]


def test_svhn(tmp_path: Path) -> None:
    images = write_svhn(tmp_path)
    found = read_set(svhn_files(tmp_path))
    np.testing.assert_array_equal(found.train, images[:3])
    np.testing.assert_array_equal(found.validation, images[3:])
    assert [path.name for path in files_to_test_on(tmp_path)] == ["test_32x32.mat"]


def test_arrays_have_their_colours_first_or_last(tmp_path: Path) -> None:
    images = some(3)
    np.save(tmp_path / "first.npy", images)
    np.save(tmp_path / "last.npy", images.transpose(0, 2, 3, 1))
    for name in ("first", "last"):
        np.testing.assert_array_equal(read_images(tmp_path / f"{name}.npy"), images)


class Harmful:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("harmed"),)


def test_nothing_is_run_that_a_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data_batch_1").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(UserError, match=r"Python version of CIFAR-10.*cifar-10-binary\.tar\.gz"):
        cifar10_files(tmp_path)
    np.save(tmp_path / "harm.npy", np.array([Harmful()], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="not an array that can be read"):
        read_images(tmp_path / "harm.npy")
    assert not (tmp_path / "harmed").exists()


def test_what_is_no_set_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such directory"):
        svhn_files(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"holds no train_32x32\.mat, test_32x32\.mat"):
        svhn_files(tmp_path)
    with pytest.raises(UserError, match=r"holds no data_batch_1\.bin"):
        files_to_test_on(tmp_path)


BAD = {
    "cut.bin": (b"\0" * 3000, "has 3000 bytes, no multiple of the 3073"),
    "empty.bin": (b"", "holds no images"),
    "text.mat": (b"no matrix", "not a MATLAB file"),
    "text.npy": (b"no array", "not an array"),
    "empty.npy": (b"", "not an array"),
    "a.png": (b"", "images are read from"),
}


@pytest.mark.parametrize("name", BAD)
def test_damaged_files_are_refused_by_name(tmp_path: Path, name: str) -> None:
    content, said = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=name) as error:
        read_images(tmp_path / name)
    assert said in str(error.value)


def test_arrays_of_something_else_are_refused(tmp_path: Path) -> None:
    for array, said in (
        (np.zeros((2, 32, 32, 3)), "float64"),
        (np.zeros((2, 28, 28), np.uint8), r"\(2, 28, 28\)"),
    ):
        np.save(tmp_path / "a.npy", array)
        with pytest.raises(UserError, match=said):
            read_images(tmp_path / "a.npy")
    savemat(tmp_path / "b.mat", {"Y": np.zeros(3)})
    with pytest.raises(UserError, match="no array X"):
        read_images(tmp_path / "b.mat")
    with pytest.raises(UserError, match="no such file"):
        read_images(tmp_path / "c.mat")

"""Sets of images on disk: CIFAR-10 in its binary version, SVHN, and arrays. Reading runs nothing.

Formats: https://www.cs.toronto.edu/~kriz/cifar.html, http://ufldl.stanford.edu/housenumbers/.
Letters: N images, S height and width.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from namexp.data.procedural_images import SIZE, ImageSet, Pixels
from namexp.errors import UserError, one_line

CIFAR_TRAIN, CIFAR_TEST = tuple(f"data_batch_{i}.bin" for i in range(1, 6)), ("test_batch.bin",)
CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_PICKLED = ("cifar-10-batches-py", "data_batch_1")
CIFAR_RECORD = 1 + 3 * SIZE * SIZE  # a label, then the colours one after the other
SVHN_TRAIN, SVHN_TEST = ("train_32x32.mat",), ("test_32x32.mat",)


class Files(NamedTuple):
    """Where a set's parts lie."""

    train: tuple[Path, ...]
    test: tuple[Path, ...]


def cifar10_files(directory: Path) -> Files:
    """Of the binary version, in ``directory`` or in the folder that its archive makes there.

    Raises:
        UserError: they are not there.
    """
    found = directory / CIFAR_FOLDER if (directory / CIFAR_FOLDER).is_dir() else directory
    missing = [name for name in (*CIFAR_TRAIN, *CIFAR_TEST) if not (found / name).is_file()]
    if missing and any((directory / name).exists() for name in CIFAR_PICKLED):
        raise UserError(
            f"{directory}: holds the Python version of CIFAR-10, whose files can run code when they are "
            "read; get the binary version, cifar-10-binary.tar.gz."
        )
    _refuse_missing(directory, missing, "the binary version of CIFAR-10 (cifar-10-binary.tar.gz)")
    return Files(*(tuple(found / name for name in names) for names in (CIFAR_TRAIN, CIFAR_TEST)))


def svhn_files(directory: Path) -> Files:
    """Of the cropped digits.

    Raises:
        UserError: they are not there.
    """
    missing = [name for name in (*SVHN_TRAIN, *SVHN_TEST) if not (directory / name).is_file()]
    _refuse_missing(directory, missing, "the cropped digits of SVHN")
    return Files(*(tuple(directory / name for name in names) for names in (SVHN_TRAIN, SVHN_TEST)))


def _refuse_missing(directory: Path, missing: Sequence[str], called: str) -> None:
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory; it must hold {called}.")
    if missing:
        raise UserError(f"{directory}: holds no {', '.join(missing)}; it must hold {called}.")


def files_to_test_on(directory: Path) -> tuple[Path, ...]:
    """The test part of whichever set lies in ``directory``.

    Raises:
        UserError: there is none.
    """
    if all((directory / name).is_file() for name in SVHN_TEST):
        return svhn_files(directory).test
    return cifar10_files(directory).test


def read_set(files: Files) -> ImageSet:
    """Both parts.

    Raises:
        UserError: a file that is not what it should be.
    """
    return ImageSet(*(np.concatenate([read_images(path) for path in part]) for part in files))


def read_images(path: Path) -> Pixels:
    """(N, 3, 32, 32) of one file: ``.bin`` of CIFAR-10, ``.mat`` of SVHN, or an array as ``.npy``.

    Raises:
        UserError: missing, damaged, or something else.
    """
    readers = {".bin": _read_binary, ".mat": _read_matlab, ".npy": _read_array}
    if path.suffix not in readers:
        raise UserError(
            f"{path}: images are read from .bin (CIFAR-10), .mat (SVHN) and .npy ((N, 32, 32, 3) or "
            "(N, 3, 32, 32), 8 bit)."
        )
    if not path.is_file():
        raise UserError(f"{path}: no such file.")
    images = readers[path.suffix](path)
    if len(images) == 0:
        raise UserError(f"{path}: holds no images.")
    return images


def _read_binary(path: Path) -> Pixels:
    content = np.fromfile(path, dtype=np.uint8)
    if content.size % CIFAR_RECORD:
        raise UserError(
            f"{path}: has {content.size} bytes, no multiple of the {CIFAR_RECORD} of an image of CIFAR-10; "
            "was it copied whole?"
        )
    return content.reshape(-1, CIFAR_RECORD)[:, 1:].reshape(-1, 3, SIZE, SIZE)


def _read_matlab(path: Path) -> Pixels:
    from scipy.io import loadmat  # slow to import, and for SVHN alone

    try:
        content = loadmat(path, variable_names=["X"])
    except Exception as error:  # scipy raises many kinds for damaged files
        raise UserError(f"{path}: not a MATLAB file that can be read ({one_line(error)}).") from None
    images = content.get("X")
    if not isinstance(images, np.ndarray):
        raise UserError(f"{path}: holds no array X, which SVHN's files have.")
    return _checked(np.moveaxis(images, -1, 0) if images.ndim == 4 else images, path)


def _read_array(path: Path) -> Pixels:
    try:  # mapped: a head that promises more than the file has is found before there is memory for it
        return _checked(np.array(np.load(path, allow_pickle=False, mmap_mode="r")), path)
    except UserError:
        raise
    except Exception as error:  # a parser of Python's literals: on a stranger's bytes it raises anything
        raise UserError(f"{path}: not an array that can be read ({one_line(error)}).") from None


def _checked(images: NDArray[np.generic], path: Path) -> Pixels:
    """(N, 3, 32, 32) from whichever order the colours have."""
    if images.dtype != np.uint8:
        raise UserError(f"{path}: has numbers of type {images.dtype} and must have 8 bit (uint8).")
    if images.ndim == 4 and images.shape[1:] == (SIZE, SIZE, 3):
        images = np.moveaxis(images, -1, 1)
    if images.ndim != 4 or images.shape[1:] != (3, SIZE, SIZE):
        raise UserError(
            f"{path}: has the shape {images.shape} and must have (N, {SIZE}, {SIZE}, 3) or (N, 3, {SIZE}, "
            f"{SIZE})."
        )
    found: Pixels = np.ascontiguousarray(images).astype(np.uint8, copy=False)
    return found


def digest_of_images(images: Pixels) -> str:
    """Of what is shown, whichever file it lies in."""
    digest = hashlib.sha256(str(images.shape).encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()

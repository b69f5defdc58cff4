"""The noise of a clip in a file: ``<name>.npy`` of (h, W) float32, to be looked at, edited and played.

Letters: h rows, W columns.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from namexp.atomic import write_atomically
from namexp.errors import UserError, one_line
from namexp.reading.regular import check_regular

LIMIT = 16 * 1024**3  # bytes; an hour of audio has 0.3


def write_latent(path: Path, z: Tensor) -> None:
    """Write (h, W), whole or not at all."""
    content = z.detach().cpu().float().contiguous().numpy()

    def save(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, content)

    write_atomically(path, save)


class StoredLatent:
    """A clip's noise from a file, column by column."""

    def __init__(self, path: Path, n_height: int, *, temperature: float = 1.0) -> None:
        """Open it.

        Args:
            path: of the file: (h, W), or with dimensions of 1 before them.
            n_height: that the model has.
            temperature: by which it is multiplied.

        Raises:
            UserError: missing, damaged, or of another shape or height.
        """
        self._path, self._temperature, self._next = path, temperature, 0
        check_regular(path, LIMIT)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{path}: cannot be read as a latent ({one_line(error)}).") from None
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
            raise UserError(f"{path}: must hold one array of floats, (n_height, columns).")
        shape = array.shape
        if array.ndim < 2 or array.ndim > 4 or any(n != 1 for n in shape[:-2]) or shape[-2] != n_height:
            raise UserError(
                f"{path}: has the shape {shape} and must have ({n_height}, columns): the model has "
                f"{n_height} rows."
            )
        self._array = array.reshape(shape[-2:])
        if not np.isfinite(self._array).all():
            raise UserError(f"{path}: holds numbers that are not finite.")

    @property
    def num_columns(self) -> int:
        """W."""
        return int(self._array.shape[1])

    def columns(self, num_columns: int) -> Tensor:
        """The next (1, 1, h, W) on the CPU, float32.

        Raises:
            UserError: there are fewer.
        """
        begin, self._next = self._next, self._next + num_columns
        if self._next > self.num_columns:
            raise UserError(
                f"{self._path}: has {self.num_columns} columns, and at least {self._next} are needed."
            )
        piece = torch.from_numpy(np.array(self._array[:, begin : self._next], dtype=np.float32))
        return piece[None, None] * self._temperature

"""The ``data`` group of a density: which images, and how they are varied."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError, did_you_mean
from namexp.schema.fields import as_integer, is_number, shown

EMBEDDED = "embedded"
SETS = (EMBEDDED, "cifar10", "svhn")


@dataclass
class ImageData:
    """The whole group."""

    set: str
    dir: Any
    batch_size: int
    shift: float
    flip: bool
    init_batches: int
    validation_batch_size: int
    max_train_images: Any
    max_validation_images: Any
    num_workers: int

    def __post_init__(self) -> None:
        """Ranges, and that a set of files has a directory."""
        if self.set not in SETS:
            raise UserError(f"data.set (= {shown(self.set)}) is unknown{did_you_mean(self.set, SETS)}")
        self._check_dir()
        for name in ("batch_size", "init_batches", "validation_batch_size"):
            setattr(self, name, as_integer(getattr(self, name), f"data.{name}", minimum=1))
        for name in ("max_train_images", "max_validation_images"):
            if getattr(self, name) is not None:
                setattr(self, name, as_integer(getattr(self, name), f"data.{name}", minimum=1))
        self.num_workers = as_integer(self.num_workers, "data.num_workers", minimum=0)
        if not is_number(self.shift) or not 0 <= self.shift <= 0.5:
            raise UserError(
                f"data.shift (= {shown(self.shift)}) must be between 0 and 0.5, a part of the width."
            )

    def _check_dir(self) -> None:
        if self.dir is not None and (not isinstance(self.dir, str) or not self.dir):
            raise UserError(f"data.dir (= {shown(self.dir)}) must be the name of a directory, or null.")
        if self.embedded and self.dir is not None:
            raise UserError(
                f"data.dir (= {shown(self.dir)}) is of no use to data.set embedded, which namexp draws; "
                "choose data=cifar10 or data=svhn."
            )
        if not self.embedded and self.dir is None:
            raise UserError(f"data.set (= {self.set}) is read from files: say where they lie by data.dir.")
        if self.dir is not None:
            self.dir = os.path.expanduser(self.dir)

    @property
    def embedded(self) -> bool:
        """Whether the set that namexp draws is used."""
        return self.set == EMBEDDED

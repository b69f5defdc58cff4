"""The ``data`` group of a vocoder: which clips, and how they are cut."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, get_args

from namexp.data.splits import SplitName
from namexp.errors import UserError, did_you_mean
from namexp.schema.fields import as_integer, at_least, shown

SPLITS = get_args(SplitName)
# What cannot change the weights: the content of the clips counts, not where they are listed.
NEUTRAL = (
    "data.train_list",  # in data.dir, if it lies there; what they list counts
    "data.validation_list",
    "data.num_workers",
    "data.cache_gb",
    "data.expected_train_clips",
    "data.expected_validation_clips",
    "data.expected_test_files",
    "data.accept_untested",
)


@dataclass
class SpeechData:
    """The whole group.

    ``train_list`` and ``validation_list`` are looked for in ``dir``; null: train.txt (or training.txt) and
    validation.txt where they lie there, else ``metadata.csv``, parted by ``split``. The splits ``report`` and
    ``nanoflow`` part what is there also where lists lie beside it.
    """

    dir: Any
    train_list: Any
    validation_list: Any
    split: Any
    expected_train_clips: Any
    expected_validation_clips: Any
    mels: Any
    segment_size: int
    batch_size: int
    normalize: bool
    num_workers: int
    cache_gb: float
    test_dir: Any
    expected_test_files: int
    accept_untested: bool

    def __post_init__(self) -> None:
        """Check ranges, and that what belongs to a directory has one."""
        for name in ("dir", "train_list", "validation_list", "mels", "test_dir"):
            setattr(self, name, _path(getattr(self, name), f"data.{name}"))
        if self.split is not None and self.split not in SPLITS:
            raise UserError(
                f"data.split (= {shown(self.split)}) is unknown{did_you_mean(str(self.split), SPLITS)}"
            )
        for name in ("segment_size", "batch_size", "expected_test_files"):
            setattr(self, name, as_integer(getattr(self, name), f"data.{name}", minimum=1))
        for name in ("expected_train_clips", "expected_validation_clips"):
            if getattr(self, name) is not None:
                setattr(self, name, as_integer(getattr(self, name), f"data.{name}", minimum=1))
        self.num_workers = as_integer(self.num_workers, "data.num_workers", minimum=0)
        at_least("data.cache_gb", self.cache_gb, 0)
        if self.dir is None:
            self._refuse_without_dir()

    def _refuse_without_dir(self) -> None:
        """Lists, splits and stored mels of no directory."""
        named = ("train_list", "validation_list", "mels", "split")
        for name in (*named, "expected_train_clips", "expected_validation_clips"):
            value = getattr(self, name)
            if value is not None:
                raise UserError(
                    f"data.{name} (= {shown(value)}) needs data.dir, the directory of the clips; without it "
                    "the embedded speech-like set is used (data=speech)."
                )

    @property
    def embedded(self) -> bool:
        """Whether the set that namexp synthesises is used."""
        return self.dir is None

    @property
    def fine_tuning(self) -> bool:
        """Whether the input mels are read from files instead of computed."""
        return self.mels is not None

    @property
    def peak_normalized(self) -> bool:
        """Whether every clip is brought to one peak; never with stored mels: they belong to it as it is."""
        return self.normalize and not self.fine_tuning


def _path(value: Any, place: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise UserError(f"{place} (= {shown(value)}) must be the name of a file or directory, or null.")
    return os.path.expanduser(value)

"""The images that a density learns from: found and checked before anything is learned."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from namexp.data.images import cifar10_files, digest_of_images, read_set, svhn_files
from namexp.data.procedural_images import ImageSet, embedded_images
from namexp.engine.training import Material
from namexp.tasks.density.config.data import EMBEDDED, ImageData


@dataclass(frozen=True)
class Pictures(Material):
    """Everything that one training sees: where it lies, no pixels.

    Attributes:
        config: the data group.
        num_train: images to learn from.
        num_validation: images that are scored.
        sha256: of each part's pixels.
        source: what an error calls it.
    """

    config: ImageData
    num_train: int
    num_validation: int
    sha256: dict[str, list[str]]
    source: str

    @property
    def facts(self) -> dict[str, Any]:
        """Which set, and how much of it."""
        return {
            "image_set": self.config.set,
            "train_images": self.num_train,
            "validation_images": self.num_validation,
        }

    @property
    def tags(self) -> tuple[str, ...]:
        """What a tracker may be asked for."""
        return ("embedded",) * self.config.embedded

    def read(self) -> ImageSet:
        """The pixels; read once in every process."""
        return _read(self.config)


def load_pictures(config: ImageData) -> Pictures:
    """Read and check the images of the data group.

    Raises:
        UserError: a directory or a file that cannot be used, by its name.
    """
    images = _read(config)
    sha256 = {"train": [digest_of_images(images.train)], "validation": [digest_of_images(images.validation)]}
    source = "the embedded set" if config.embedded else str(config.dir)
    return Pictures(config, len(images.train), len(images.validation), sha256, source)


def _read(config: ImageData) -> ImageSet:
    whole = _whole(config.set, config.dir)
    return ImageSet(whole.train[: config.max_train_images], whole.validation[: config.max_validation_images])


@lru_cache(maxsize=1)
def _whole(name: str, directory: str | None) -> ImageSet:
    if name == EMBEDDED:
        return embedded_images()
    assert directory is not None, "else it is embedded"
    find = {"cifar10": cifar10_files, "svhn": svhn_files}[name]
    return read_set(find(Path(directory)))

"""The whole config of a density of images, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from namexp.errors import UserError
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.metric import Metric
from namexp.tasks.density.config.data import ImageData
from namexp.tasks.density.config.model import GlowModel

MODEL_KINDS: Mapping[str, type[Any]] = {"glow": GlowModel}
SIZE = 32  # of the images of every set that is read


@dataclass(kw_only=True)
class DensityConfig(ExperimentConfig):
    """One training of a density."""

    data: ImageData

    learns = "densities of images"
    models = MODEL_KINDS
    metrics = (Metric("bpd", meaning="Bits per dimension: what an image costs, by its 3072 numbers"),)
    files = ("data.dir",)
    neutral = ("data.num_workers",)
    options: ClassVar[Mapping[str, str]] = {"data": "images, cifar10 or svhn"}

    def __post_init__(self) -> None:
        """Agreement between groups."""
        super().__post_init__()
        if self.model.image_size != SIZE:
            raise UserError(
                f"model.image_size (= {self.model.image_size}) must be {SIZE}, the size of the images of "
                f"data.set {self.data.set}."
            )
        self.trainer.check_shares(self.data.batch_size)

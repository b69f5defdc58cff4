"""The config of the second task: two groups of its own and two metrics, the first better when higher."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from namexp.errors import UserError
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.metric import Metric


@dataclass
class LineModel:
    """A line."""

    kind: str
    slope: float


@dataclass
class PointsData:
    """Points, drawn or from a file."""

    num_points: int
    noise: float
    seed: int
    batch_size: int
    file: Any

    def __post_init__(self) -> None:
        """Ranges."""
        if self.noise <= 0:
            raise UserError(f"data.noise (= {self.noise:g}) must be above 0.")


@dataclass(kw_only=True)
class LineConfig(ExperimentConfig):
    """One line through points."""

    data: PointsData

    learns = "lines"
    models: ClassVar[Mapping[str, type[Any]]] = {"line": LineModel}
    metrics = (
        Metric("LL", better="higher", meaning="Log-likelihood of a point"),
        Metric("RMSE", scale="ratio"),
    )
    files = ("data.file",)
    options: ClassVar[Mapping[str, str]] = {"data": "points"}

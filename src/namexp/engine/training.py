"""What one training is made of, and how it went."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from torch import nn

from namexp.engine.checkpoint import Progress
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import ExperimentConfig
from namexp.tracking.tracker import Tracker, Untracked


class Row(NamedTuple):
    """What is reported by itself: a submodel, a width, a generator.

    Attributes:
        name: for people.
        suffix: of its metrics' names; nothing where it is the only one.
        facts: known before the training, such as channels, parameters, macs_per_sample: plain values.
    """

    name: str
    suffix: str
    facts: Mapping[str, Any]


class Material(ABC):
    """What is learned from, read and checked. It is pickled for other processes: few samples, or none.

    Attributes:
        sha256: of the content of everything that was read, by what it is: few digests, of many files one, for
            they are stored in every summary.
        source: what an error calls it, such as a file's name.
    """

    sha256: Mapping[str, list[str]]
    source: str

    @property
    def tags(self) -> tuple[str, ...]:
        """For the tracker."""
        return ()

    @property
    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """Plain values for checkpoints, summary and tracker, such as the sample rate."""


C = TypeVar("C", bound=ExperimentConfig)
M = TypeVar("M", bound=Material)


@dataclass(frozen=True)
class Training(Generic[C, M]):
    """What one training is made of. Pickled, it takes other processes what they need.

    Attributes:
        config: checked.
        resolved: the same as plain values.
        material: what is learned from.
        rows: what is reported by itself, before anything is computed.
        network: what learns.
        layout: where everything goes.
        description: plain values from which a checkpoint rebuilds the network.
        training_id: equal for two trainings that give the same weights.
        progress: how far it has come already; None: it begins.
        checkpoint: where that is kept, also for processes that write elsewhere.
        tracker: what it is told to, besides metrics.csv.
    """

    config: C
    resolved: Mapping[str, Any]
    material: M
    rows: tuple[Row, ...]
    network: nn.Module
    layout: RunLayout
    description: dict[str, Any]
    training_id: str
    progress: Progress | None = None
    checkpoint: Path | None = None
    tracker: Tracker = field(default_factory=Untracked)


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes:
        epochs: that were finished.
        seconds: of training.
        cpu_seconds: of the first process, on all of its cores; None where not trained here at a stretch.
        steps: batches learned from.
        interrupted: whether Ctrl-C ended it.
        reused_from: the run that it was taken from, relative to this one; None: it was done here.
    """

    epochs: int
    seconds: float
    cpu_seconds: float | None
    steps: int
    interrupted: bool = False
    reused_from: str | None = None

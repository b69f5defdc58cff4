"""What a training tells, whoever listens."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from namexp.audio.wav import Samples
from namexp.runs.layout import RunLayout
from namexp.schema.metric import Metric
from namexp.tracking.metrics_logger import MetricsLogger


class Clip(NamedTuple):
    """Something to listen to: (L,) samples, full scale = 1.0, and what they are."""

    samples: Samples
    sample_rate: int
    caption: str


@dataclass(frozen=True)
class RunDescription:
    """What is known of a training before its first step.

    Attributes:
        layout: its run directory.
        name: short, for people.
        group: shared by the jobs of a sweep; None for a single run.
        tags: to find it by.
        config: the resolved config and facts about model and data: plain values.
        metrics: of a validation.
        suffixes: of the rows' metrics.
        summary: facts that panels may plot, by key.
    """

    layout: RunLayout
    name: str
    group: str | None
    tags: tuple[str, ...]
    config: Mapping[str, Any]
    metrics: tuple[Metric, ...]
    suffixes: tuple[str, ...]
    summary: Mapping[str, float]


class Tracker(ABC):
    """Takes what a training tells: rows of metrics, sound, pictures, a table, facts, files.

    Attributes:
        active: whether anybody listens; what is costly to make need not be made otherwise.
        continued: whether an earlier part of the same training was told already.
        last_step: of the latest metrics; what is told without a step belongs there.
    """

    active = True

    def __init__(self, *, continued: bool) -> None:
        self.continued = continued
        self.last_step = 0

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """One row of metrics after so many updates."""
        self.last_step = max(self.last_step, step)
        self._metrics(values, step)

    def audio(self, clips: Mapping[str, Clip], step: int | None = None) -> None:
        """Sound by key; a clip that is not finite cannot be heard and is left out."""
        audible = {key: clip for key, clip in clips.items() if np.isfinite(clip.samples).all()}
        if audible:
            self._audio(audible, self._at(step))

    def pictures(self, pictures: Mapping[str, Path], step: int | None = None) -> None:
        """PNG files by key."""
        if pictures:
            self._pictures(pictures, self._at(step))

    def table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table: plain values, None where there is none."""
        self._table(key, columns, rows, self.last_step)

    @abstractmethod
    def summarise(self, values: Mapping[str, Any]) -> None:
        """Facts about the whole run, by key; a later value replaces an earlier one."""

    @abstractmethod
    def files(self, kind: str, paths: Sequence[Path], about: Mapping[str, Any]) -> None:
        """Files that the run made, such as the exported model."""

    @abstractmethod
    def close(self, error: BaseException | None) -> None:
        """The run is over, with the exception that ended it, if any."""

    @abstractmethod
    def _metrics(self, values: Mapping[str, float], step: int) -> None: ...

    @abstractmethod
    def _audio(self, clips: Mapping[str, Clip], step: int) -> None: ...

    @abstractmethod
    def _pictures(self, pictures: Mapping[str, Path], step: int) -> None: ...

    @abstractmethod
    def _table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None: ...

    def _at(self, step: int | None) -> int:
        return self.last_step if step is None else step


class Untracked(Tracker):
    """Nobody listens; metrics.csv is written all the same."""

    active = False

    def __init__(self) -> None:
        super().__init__(continued=False)

    def summarise(self, values: Mapping[str, Any]) -> None:
        """Nothing."""

    def files(self, kind: str, paths: Sequence[Path], about: Mapping[str, Any]) -> None:
        """Nothing."""

    def close(self, error: BaseException | None) -> None:
        """Nothing."""

    def _metrics(self, values: Mapping[str, float], step: int) -> None: ...

    def _audio(self, clips: Mapping[str, Clip], step: int) -> None: ...

    def _pictures(self, pictures: Mapping[str, Path], step: int) -> None: ...

    def _table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None: ...


class TrackerLogger(MetricsLogger):
    """Hands what Lightning logs to a tracker."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__()
        self._tracker = tracker

    def take(self, metrics: dict[str, float], step: int) -> None:
        """One row."""
        self._tracker.metrics(metrics, step)

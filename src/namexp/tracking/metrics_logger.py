"""What every logger of ours is to Lightning: a place for rows of metrics, and nothing else."""

from __future__ import annotations

from abc import abstractmethod
from argparse import Namespace
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only


class MetricsLogger(Logger):
    """Takes rows from the first process; the config is written elsewhere, once."""

    @property
    def name(self) -> str:
        """Lightning asks for it."""
        return "metrics"

    @property
    def version(self) -> str:
        """Lightning asks for it."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """The config lies in config.yaml, and the tracker got it when it was opened."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """One row."""
        self.take(dict(metrics), int(step or 0))

    @abstractmethod
    def take(self, metrics: dict[str, float], step: int) -> None:
        """Keep one row; ``epoch`` is among the metrics where Lightning knows it."""

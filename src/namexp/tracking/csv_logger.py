"""metrics.csv as a Lightning logger."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities import rank_zero_only

from namexp.runs.metrics import MetricsFile


class MetricsCsvLogger(Logger):
    """Appends; Lightning's own CSVLogger deletes the file when a run is continued."""

    def __init__(self, path: Path, *, steps: bool = True, keep_rows: int | None = None) -> None:
        """Log to ``path``.

        Args:
            path: of the file.
            steps: whether the rows between validations are kept.
            keep_rows: so many rows of a file that is there already are gone on from; None: all.
        """
        super().__init__()
        self._file = MetricsFile(path, keep_rows=keep_rows)
        self._steps = steps

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return self._file.num_rows

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
        """The config lies in config.yaml."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Append one row."""
        values = dict(metrics)
        epoch = int(values.pop("epoch", -1))
        if values and (self._steps or "val_loss" in values):
            self._file.append(epoch=epoch, step=int(step or 0), values=values)

"""metrics.csv as a Lightning logger."""

from __future__ import annotations

from pathlib import Path

from namexp.runs.metrics import MetricsFile
from namexp.tracking.metrics_logger import MetricsLogger


class MetricsCsvLogger(MetricsLogger):
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

    def take(self, metrics: dict[str, float], step: int) -> None:
        """Append one row."""
        epoch = int(metrics.pop("epoch", -1))
        if metrics and (self._steps or "val_loss" in metrics):
            self._file.append(epoch=epoch, step=step, values=metrics)

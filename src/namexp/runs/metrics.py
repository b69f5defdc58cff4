"""metrics.csv: rows that are only ever appended, and columns that may join later."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from namexp.atomic import write_atomically


class MetricsFile:
    """One row per call of ``append``: epoch, step, and whatever metrics there are then."""

    KEYS = ("epoch", "step")

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns = list(self.KEYS)
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file), list(self.KEYS))

    def append(self, *, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Add a row. A new column rewrites the file with the old rows empty there."""
        new = sorted(name for name in values if name not in self._columns)
        if new or not self.path.exists():
            self._widen(new)
        row = {"epoch": str(epoch), "step": str(step), **{k: repr(v) for k, v in values.items()}}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)

    def _widen(self, new: list[str]) -> None:
        rows = read_metrics(self.path) if self.path.exists() else []
        self._columns += new

        def write(temporary: Path) -> None:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self._columns, restval="")
                writer.writeheader()
                writer.writerows(rows)

        write_atomically(self.path, write)


def read_metrics(path: Path) -> list[dict[str, str]]:
    """All rows as text; a metric that a row does not have is empty."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))

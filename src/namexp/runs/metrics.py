"""metrics.csv: rows that are only ever appended, and columns that may join later."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from namexp.atomic import write_atomically
from namexp.errors import UserError
from namexp.reading.csv_rows import read_rows


class MetricsFile:
    """One row per call of ``append``: epoch, step, and whatever metrics there are then."""

    KEYS = ("epoch", "step")

    def __init__(self, path: Path, *, keep_rows: int | None = None) -> None:
        """Go on with ``path`` where it exists.

        Args:
            path: of the file.
            keep_rows: so many of its rows stay, the later ones are cut off; None: all.

        Raises:
            UserError: the file is damaged.
        """
        self.path = path
        self._columns = list(self.KEYS)
        rows = read_metrics(path)[:keep_rows] if path.exists() else []
        if rows and not set(self.KEYS) <= rows[0].keys():
            raise UserError(f"{path}: lacks the columns {' and '.join(self.KEYS)}, which each row has.")
        self.num_rows = len(rows)
        if rows:
            self._columns = list(rows[0])
            self._write(rows)
        else:
            path.unlink(missing_ok=True)

    def append(self, *, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Add a row. A new column rewrites the file with the old rows empty there."""
        new = sorted(name for name in values if name not in self._columns)
        if new or not self.path.exists():
            self._widen(new)
        row = {"epoch": str(epoch), "step": str(step), **{k: repr(v) for k, v in values.items()}}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self._columns, restval="").writerow(row)
        self.num_rows += 1

    def _widen(self, new: list[str]) -> None:
        rows = read_metrics(self.path) if self.path.exists() else []
        self._columns += new
        self._write(rows)

    def _write(self, rows: Iterable[Mapping[str, str]]) -> None:
        def write(temporary: Path) -> None:
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, self._columns, restval="")
                writer.writeheader()
                writer.writerows(rows)

        write_atomically(self.path, write)


def read_metrics(path: Path) -> list[dict[str, str]]:
    """All whole rows as text; a metric that a row does not have is empty.

    A last row without its line end was cut off while it was written, and is left out.

    Raises:
        UserError: the file is damaged.
    """
    return read_rows(path, whole=True)

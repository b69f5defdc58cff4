"""Tables from CSV files, every row with the columns of the head."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from namexp.errors import UserError, one_line
from namexp.reading.regular import MEGABYTE, read_text

LIMIT = 256 * MEGABYTE
MOST_CELLS = 5_000_000


def read_rows(path: Path, *, whole: bool = False) -> list[dict[str, str]]:
    """Rows by the names in the head; a cell that a row does not have is empty.

    Args:
        path: of the file.
        whole: whether a last row without its line end is left out: it was cut off while it was written.

    Raises:
        UserError: it cannot be read, or a row has more cells than the head.
    """
    text = read_text(path, LIMIT)
    if text.count(",") + text.count("\n") > MOST_CELLS:
        raise UserError(f"{path}: has more than {MOST_CELLS} cells.")
    if whole:
        text = text[: text.rfind("\n") + 1]
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
    rows = []
    try:
        for row in reader:
            if isinstance(row.get(""), list):
                raise UserError(f"{path}: line {reader.line_num} has more cells than the head has names.")
            rows.append(row)
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: {one_line(error)}.") from None
    return rows

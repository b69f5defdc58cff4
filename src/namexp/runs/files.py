"""Text and JSON files, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.atomic import write_atomically
from namexp.reading.json_text import read_object
from namexp.reading.plain import encodable


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text."""
    write_atomically(path, lambda temporary: _fill(temporary, text))


def _fill(path: Path, text: str) -> None:
    # names of files may hold bytes that are no text
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write strict JSON; numbers that are not finite become null."""
    write_text(path, json.dumps(finite(content), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read an object.

    Raises:
        UserError: the file is missing or damaged.
    """
    return read_object(path)


def finite(value: Any) -> Any:
    """``value`` as strict JSON takes it, at any depth: NaN and infinities are None, and all text is UTF-8."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        return value if encodable(value) else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {finite(key): finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value

"""Text and JSON files, written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.atomic import write_atomically
from namexp.errors import UserError, one_line


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text."""
    write_atomically(path, lambda temporary: _fill(temporary, text))


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write strict JSON; numbers that are not finite become null."""
    write_text(path, json.dumps(finite(content), indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read an object.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested beyond reason
        raise UserError(f"{path}: not JSON: {one_line(error)}.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold a JSON object.")
    return content


def finite(value: Any) -> Any:
    """``value`` with NaN and infinities replaced by None, at any depth."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value

"""A ``.nam`` file as JSON: what every version and architecture shares.

The rules are those of the C++ runtime 0.5.5: what it refuses is refused here, with the reason.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.atomic import write_atomically
from namexp.errors import UserError, one_line
from namexp.schema.fields import shown

VERSION = "0.7.0"
OLDEST = (0, 5, 0)
NEWEST_MINOR = (0, 7)
ROOT_KEYS = ("version", "architecture", "config", "weights")


def load_document(path: Path) -> dict[str, Any]:
    """Read the file as strict JSON.

    Raises:
        UserError: it is missing, not JSON, holds NaN or Infinity, or its root is not an object.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text, parse_constant=_refuse_constant)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, _ConstantError) as error:
        raise UserError(f"{path}: not a JSON file: {one_line(error)}.") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: the root of a .nam file must be an object, got {shown(document)}.")
    return document


class _ConstantError(ValueError):
    pass


def _refuse_constant(name: str) -> None:
    raise _ConstantError(f"{name} is not valid JSON")


def save_document(document: Mapping[str, Any], path: Path) -> None:
    """Write strict JSON under a temporary name, then rename: the file is whole or not there.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(document, allow_nan=False)
    write_atomically(path, lambda temporary: _fill(temporary, text))


def _fill(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def check_root(document: Any, place: str) -> None:
    """What must hold of every model, also of one inside another.

    Raises:
        UserError: a missing key, a version or a type that the runtime refuses.
    """
    if not isinstance(document, Mapping):
        raise UserError(f"{place or 'the file'} must be an object, got {shown(document)}.")
    prefix = f"{place}." if place else ""
    for key in ROOT_KEYS:
        if key not in document:
            raise UserError(f"{prefix}{key} is missing.")
    check_version(document["version"], f"{prefix}version")
    if not isinstance(document["architecture"], str):
        raise UserError(f"{prefix}architecture (= {shown(document['architecture'])}) must be text.")
    metadata = document.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise UserError(f"{prefix}metadata (= {shown(metadata)}) must be an object or null.")
    for key in ("loudness", "input_level_dbu", "output_level_dbu"):
        value = (metadata or {}).get(key)
        if value is not None and not _is_json_number(value):
            raise UserError(f"{prefix}metadata.{key} (= {shown(value)}) must be a number.")
    if "sample_rate" in document and not _is_json_number(document["sample_rate"]):
        raise UserError(
            f"{prefix}sample_rate (= {shown(document['sample_rate'])}) must be a number; leave the key "
            "out where the rate is unknown."
        )


def check_version(version: Any, place: str) -> None:
    """Versions 0.5.0 to 0.7.x load."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version) if isinstance(version, str) else None
    if match is not None:
        numbers = tuple(int(g) for g in match.groups())
        if numbers >= OLDEST and numbers[:2] <= NEWEST_MINOR:
            return
    raise UserError(f"{place} (= {shown(version)}) is not supported: 0.5.0 to 0.7.x are.")


def check_weights(weights: Any, place: str) -> list[float]:
    """A flat list of numbers.

    Raises:
        UserError: not a list, or an entry that is not a number.
    """
    if not isinstance(weights, list):
        raise UserError(f"{place}weights (= {shown(weights)}) must be a list of numbers.")
    for i, value in enumerate(weights):
        if not _is_json_number(value):
            raise UserError(f"{place}weights[{i}] (= {shown(value)}) must be a number.")
    return weights


def sample_rate_of(document: Mapping[str, Any]) -> float | None:
    """The rate in Hz, or None where the file does not know it (missing, or not positive)."""
    rate = document.get("sample_rate")
    return rate if rate is not None and rate > 0 else None


def _is_json_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

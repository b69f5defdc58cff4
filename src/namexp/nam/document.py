"""A ``.nam`` file as JSON: what every version and architecture shares.

The rules are those of the C++ runtime 0.5.5: what it refuses is refused here, with the reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from namexp.atomic import write_atomically
from namexp.errors import UserError, one_line
from namexp.reading.json_deep import decoded
from namexp.reading.json_text import check_amount, integer, refuse_constant
from namexp.reading.plain import depth_within, is_text
from namexp.reading.regular import MEGABYTE, read_bytes
from namexp.schema.fields import is_number, shown

VERSION = "0.7.0"
OLDEST = (0, 5, 0)
NEWEST = (0, 7, 0)
LIMIT = 256 * MEGABYTE
MOST_DEPTH = 100_000
INT_MAX = 2**31 - 1  # of a part of a version
ROOT_KEYS = ("version", "architecture", "config", "weights")

# Halves of a surrogate pair, and any escape
_HALVES = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
_VERSION = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+)")


def load_document(path: Path) -> dict[str, Any]:
    """Read the file as JSON, as the runtime does: what follows the root object is not looked at.

    Raises:
        UserError: it cannot be read, is not JSON, holds NaN or Infinity, text that is none, or too much for
            the memory, or its root is not an object.
    """
    content = read_bytes(path, LIMIT)
    try:
        document = _root(content)
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file: {one_line(error)[:200]}.") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: the root of a .nam file must be an object, got {shown(document)}.")
    return document


_DECODER = json.JSONDecoder(parse_constant=refuse_constant, parse_int=integer)


def _root(content: bytes) -> Any:
    rest: UnicodeDecodeError | None = None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # the root may be over before
        text, rest = content[: error.start].decode("utf-8-sig"), error
    check_amount(text)
    start = len(text) - len(text.lstrip(" \t\n\r"))
    try:
        try:
            document, end = _DECODER.raw_decode(text, start)
        except RecursionError:
            document, end = decoded(text, start)
    except ValueError:
        if rest is not None:
            raise rest from None
        raise
    if _HALVES.search(text, start, end):
        _refuse_halves(text, start, end)
    if not depth_within(document, text.count("[", start, end) + text.count("{", start, end), MOST_DEPTH):
        raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
    return document


def _refuse_halves(text: str, start: int, end: int) -> None:
    """The runtime's reader wants both halves of a surrogate pair, one after the other.

    Raises:
        ValueError: one stands alone.
    """
    waits_at = None  # where the second half must stand
    for found in _ESCAPE.finditer(text, start, end):
        code = int(found[1], 16) if found[1] else 0
        is_second = 0xDC00 <= code <= 0xDFFF
        if is_second != (waits_at is not None) or waits_at not in (None, found.start()):
            break
        waits_at = found.end() if 0xD800 <= code <= 0xDBFF else None
    else:
        if waits_at is None:
            return
    raise ValueError("it holds half of a character (a lone surrogate such as \\ud800), which no text has")


def save_document(document: Mapping[str, Any], path: Path) -> None:
    """Write strict JSON under a temporary name, then rename: the file is whole or not there.

    Raises:
        ValueError: a number is NaN or infinite, or text cannot be written as UTF-8.
    """
    if not is_text(document):
        raise ValueError("text with half of a character (a lone surrogate)")
    try:
        text = json.dumps(document, allow_nan=False)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
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
    metadata = metadata_of(document) or {}
    for key in ("loudness", "input_level_dbu", "output_level_dbu"):
        value = metadata.get(key)
        if value is not None and not is_number(value):
            raise UserError(f"{prefix}metadata.{key} (= {shown(value)}) must be a number.")
    if "sample_rate" in document and not is_number(document["sample_rate"]):
        raise UserError(
            f"{prefix}sample_rate (= {shown(document['sample_rate'])}) must be a number; leave the key "
            "out where the rate is unknown."
        )


def metadata_of(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a model says of itself; None without it, and where it is no object: the runtime looks past it."""
    metadata = document.get("metadata")
    return dict(metadata) if isinstance(metadata, Mapping) else None


def version_numbers(version: Any) -> tuple[int, ...] | None:
    """``"0.5.4"`` as numbers; None for anything else, such as digits of another script."""
    match = _VERSION.fullmatch(version) if isinstance(version, str) and len(version) < 100 else None
    numbers = tuple(int(group) for group in match.groups()) if match else ()
    return numbers if numbers and max(numbers) <= INT_MAX else None


def check_version(version: Any, place: str) -> None:
    """Versions 0.5.0 to 0.7.x load."""
    numbers = version_numbers(version)
    if numbers is not None and numbers >= OLDEST and numbers[0] <= NEWEST[0] and numbers[1] <= NEWEST[1]:
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
        if not is_number(value):
            raise UserError(f"{place}weights[{i}] (= {shown(value)}) must be a number.")
    return weights


def sample_rate_of(document: Mapping[str, Any]) -> float | None:
    """The rate in Hz, or None where the file does not know it (missing, or not positive)."""
    rate = document.get("sample_rate")
    return rate if rate is not None and rate > 0 else None

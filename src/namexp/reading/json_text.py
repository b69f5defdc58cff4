"""JSON from files, within limits of size, depth and numbers that no file of ours comes near."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

from namexp.errors import UserError, one_line
from namexp.reading.plain import depth_within, is_text
from namexp.reading.regular import MEGABYTE, read_bytes

LIMIT = 64 * MEGABYTE
DEPTH = 100
MOST_GROUPS = 500_000  # lists and objects: each takes some 70 bytes for 2 of the file
MOST_VALUES = 10_000_000
EXACT_DIGITS = 19  # an integer of more is a float: whatever counts is smaller, and the runtime does it too
# Numbers that a float cannot hold, or that are too long for Python's integers
_HUGE = re.compile(r"\d{20}|\d[eE]\+?\d{3}")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        UserError: it cannot be read, is not JSON, holds text that is none, or something else than an object.
    """
    try:
        content = parsed(read_bytes(path, LIMIT).decode("utf-8-sig"))
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {_reason(error)}.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: must hold a JSON object.")
    return content


def parsed(text: str) -> Any:
    """The content of ``text``. Integers beyond 19 digits become floats; NaN and Infinity are taken.

    Raises:
        ValueError: not JSON, or beyond the limits.
        RecursionError: nested far beyond the limits.
    """
    check_amount(text)
    content = json.loads(text, parse_int=integer) if _HUGE.search(text) else json.loads(text)
    if not depth_within(content, text.count("[") + text.count("{"), DEPTH):
        raise ValueError(f"it is nested more than {DEPTH} deep")
    if _SURROGATE.search(text) and not is_text(content):
        raise ValueError("it holds half of a character (a lone surrogate such as \\ud800)")
    return content


def check_amount(text: str) -> None:
    """See that the content has room in memory.

    Raises:
        ValueError: it has too many values.
    """
    groups, commas = text.count("[") + text.count("{"), text.count(",")
    if groups > MOST_GROUPS or commas > MOST_VALUES:
        raise ValueError(
            f"it holds too much: {groups} lists and objects, {commas} commas (at most {MOST_GROUPS} and "
            f"{MOST_VALUES})"
        )


def integer(digits: str) -> int | float:
    """A number without a point: exact where 64 bits hold it."""
    return int(digits) if len(digits.lstrip("-")) <= EXACT_DIGITS else float(digits)


def refuse_constant(name: str) -> NoReturn:
    """For ``json``'s ``parse_constant``: strict JSON has no NaN and no Infinity.

    Raises:
        ValueError: always.
    """
    raise ValueError(f"{name} is not valid JSON")


def _reason(error: ValueError | RecursionError) -> str:
    return "it is nested too deep" if isinstance(error, RecursionError) else one_line(error)

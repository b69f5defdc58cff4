"""Plain values: text, numbers, truth, nothing, lists and mappings of these, within a depth and a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from namexp.errors import UserError

DEPTH = 50
MOST_VALUES = 1_000_000


def is_finite(value: Any) -> TypeGuard[int | float]:
    """Whether ``value`` is a real number that a float can hold; ``True`` is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def is_text(value: Any) -> bool:
    """Whether every piece of text in it can be written as UTF-8."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, str):
            if not encodable(item):
                return False
        elif isinstance(item, Mapping):
            rest += [*item, *item.values()]
        elif isinstance(item, list | tuple):
            rest += item
    return True


def encodable(text: str) -> bool:
    """Whether it can be written as UTF-8: no half of a surrogate pair, no byte of another encoding."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def depth_within(value: Any, groups: int, limit: int) -> bool:
    """Whether ``value`` is nested at most ``limit`` deep.

    Args:
        value: of lists and mappings.
        groups: how many of these it holds at most: fewer than ``limit`` cannot be nested deeper.
        limit: levels.
    """
    if groups <= limit:
        return True
    level = [value]
    for _ in range(limit + 1):
        level = [child for item in level for child in _children(item) if isinstance(child, dict | list)]
        if not level:
            return True
    return False


def _children(item: Any) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item if isinstance(item, list) else []


def check_plain(value: Any, place: str) -> None:
    """Refuse what is not made of plain values, or is too deep or too much of them.

    Shared parts count as often as they are met: a list of ten lists of ten lists has a thousand values.

    Args:
        value: read by a program that makes more than plain values.
        place: begins the message.

    Raises:
        UserError: says what was found.
    """
    level, count = [value], 0
    for _ in range(DEPTH):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below += [*item, *item.values()]
            elif isinstance(item, list | tuple):
                below += item
            elif isinstance(item, str) and not encodable(item):
                raise UserError(f"{place} holds text that is none: {ascii(item)[:60]}.")
            elif item is not None and not isinstance(item, str | int | float):
                raise UserError(
                    f"{place} holds a value of type {type(item).__name__}, which is no plain value."
                )
            if count + len(below) > MOST_VALUES:
                raise UserError(f"{place} holds more than {MOST_VALUES} values.")
        if not below:
            return
        level, count = below, count + len(below)
    raise UserError(f"{place} is nested more than {DEPTH} deep.")

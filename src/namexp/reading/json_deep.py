"""JSON of any depth: a reader that does not call itself, slower than ``json`` and without its limit."""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import Any

from namexp.reading.json_text import integer

_TOKEN = re.compile(
    r"[ \t\n\r]*(?:(?P<mark>[\[\]{},:])|(?P<quote>\")|(?P<word>true|false|null)"
    r"|(?P<whole>-?(?:0|[1-9][0-9]*))(?P<rest>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?))"
)
_STRINGS = JSONDecoder()
_WORDS = {"true": True, "false": False, "null": None}


def decoded(text: str, start: int = 0) -> tuple[Any, int]:
    """The value that begins at ``start``, and where it ends.

    Raises:
        ValueError: it is not JSON.
    """
    top: list[Any] = []
    holders: list[Any] = [top]  # the lists and objects that are not over, the innermost last
    names: list[str] = [""]  # of what comes next, where the holder is an object
    expected, at = "value", start  # or: name, first (value or end), first name, more (comma or end)
    while True:
        found = _TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"expected {expected} at character {at}")
        at, mark, holder = found.end(), found["mark"], holders[-1]
        if mark is not None and mark in "]}":
            own = "]" if isinstance(holder, list) else "}"
            if mark != own or expected not in ("more", "first value", "first name") or holder is top:
                raise ValueError(f"expected {expected} at character {at - 1}")
            holders.pop()
            names.pop()
        elif mark == ",":
            if expected != "more":
                raise ValueError(f"expected {expected} at character {at - 1}")
            expected = "value" if isinstance(holder, list) else "name"
            continue
        elif expected in ("name", "first name"):
            if found["quote"] is None:
                raise ValueError(f"expected {expected} at character {at - 1}")
            names[-1], at = _STRINGS.raw_decode(text, at - 1)
            colon = _TOKEN.match(text, at)
            if colon is None or colon["mark"] != ":":
                raise ValueError(f"expected a colon at character {at}")
            expected, at = "value", colon.end()
            continue
        elif expected not in ("value", "first value") or mark == ":":
            raise ValueError(f"expected {expected} at character {at - 1}")
        else:
            if mark is not None:
                value: Any = [] if mark == "[" else {}
            elif found["quote"] is not None:
                value, at = _STRINGS.raw_decode(text, at - 1)
            elif found["word"] is not None:
                value = _WORDS[found["word"]]
            else:
                value = float(found["whole"] + found["rest"]) if found["rest"] else integer(found["whole"])
            if isinstance(holder, list):
                holder.append(value)
            else:
                holder[names[-1]] = value
            if mark is not None:
                holders.append(value)
                names.append("")
                expected = "first value" if mark == "[" else "first name"
                continue
        if len(holders) == 1:
            return top[0], at
        expected = "more"

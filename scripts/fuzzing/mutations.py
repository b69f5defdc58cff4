"""What is done to a sound file: to its bytes, and to the values in it."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from namexp.reading.plain import is_finite

RAW = "@raw@"  # before text that JSON has without quotes
PIECES = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"NaN", b"Infinity", b"-", b"1e999", b"9" * 400, b"[" * 300, b'"',
    b"\\ud800", b"\r", b"\n", b",", b"null", b"{}", b"[]", b"${oc.env:HOME}", b"&a", b"*a", b"!!python/none",
    b"\xed\xa0\x80",
)  # fmt: skip
NASTY: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 3.5, 1e-300, 2**31, 2**63, 2**64, 10**30, -(10**400), 10**400,
    f"{RAW}NaN", f"{RAW}1e999", f"{RAW}{'7' * 5000}", f"{RAW}-Infinity", f"{RAW}{'[' * 3000}{']' * 3000}",
    "", "x", "\ud800", "a" * 3000, "${oc.env:HOME}", "../../x", "/etc/passwd", "\x00",
    [], {}, [[]], {"a": None}, [1, 2, 3], [0.5] * 50,
)  # fmt: skip

Mutation = Callable[[random.Random, bytes], bytes]


def _flipped(draw: random.Random, content: bytes) -> bytes:
    at, bit = draw.randrange(len(content)), 1 << draw.randrange(8)
    return content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]


def _overwritten(draw: random.Random, content: bytes) -> bytes:
    at, new = draw.randrange(len(content)), draw.randbytes(draw.choice((1, 2, 4, 8)))
    return content[:at] + new + content[at + len(new) :]


def _cut(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content))]


def _without(draw: random.Random, content: bytes) -> bytes:
    a, b = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    b = min(b, a + draw.choice((1, 8, 200, 10**9)))
    return content[:a] + content[b:]


def _repeated(draw: random.Random, content: bytes) -> bytes:
    a, b = sorted(draw.randrange(len(content) + 1) for _ in range(2))
    piece = content[a : min(b, a + 2000)]
    return content[:a] + piece * draw.choice((2, 3, 20)) + content[b:]


def _inserted(draw: random.Random, content: bytes) -> bytes:
    at = draw.randrange(len(content) + 1)
    return content[:at] + draw.choice(PIECES) + content[at:]


BYTES: tuple[Mutation, ...] = (_flipped, _overwritten, _cut, _without, _repeated, _inserted)


def of_bytes(draw: random.Random, content: bytes) -> bytes:
    """One to three changes of the bytes."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if content:
            content = draw.choice(BYTES)(draw, content)
    return content


def of_values(draw: random.Random, value: Any) -> Any:
    """One to three changes of plain values: one replaced, left out, renamed, or put elsewhere."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = list(_places(value))
        if not places:
            break
        holder, key = draw.choice(places)
        kind = draw.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[draw.choice((f"{key}x", "", "\ud83d", "a.b"))] = holder.pop(key)
        elif kind == 2:
            other, name = draw.choice(places)
            if name in other if isinstance(other, dict) else name < len(other):
                holder[key] = copy.deepcopy(other[name])
        elif kind == 3 and isinstance(holder, list):
            holder += [holder[key]] * draw.choice((1, 3, 100))
        elif kind == 4 and is_finite(holder[key]):
            holder[key] = holder[key] * draw.choice((-1, 0, 2, 1000, 1_000_000)) + draw.choice((0, 1, 0.5))
        else:
            holder[key] = copy.deepcopy(draw.choice(NASTY))
    return value


def _places(value: Any) -> Any:
    """(holder, key) of everything inside, but for long lists of numbers, of which a few do."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield value, key
            yield from _places(item)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            if i < 6 or i == len(value) - 1 or isinstance(item, dict | list):
                yield value, i
                yield from _places(item)


def as_json(value: Any) -> bytes:
    """With what JSON has no value for in Python."""
    text = json.dumps(value, default=str)
    parts = text.split(f'"{RAW}')
    return (parts[0] + "".join(_bare(part) for part in parts[1:])).encode()


def _bare(part: str) -> str:
    raw, _, rest = part.partition('"')
    return raw + rest

"""Reading one mapping key by key, with errors that name the place and the value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from namexp.errors import UserError, did_you_mean
from namexp.reading.plain import encodable, is_finite

REQUIRED: Any = object()  # "no default": the key must be there


def is_integer(value: Any) -> bool:
    """Whether ``value`` is a whole number; ``True`` is not, ``3.0`` is."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite real number; ``True`` is not."""
    return is_finite(value)


def is_list(value: Any) -> bool:
    """Whether ``value`` is a sequence other than text."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


class Fields:
    """A mapping of a config or file together with the place where it stands.

    Every getter raises ``UserError`` naming place, value and expectation; ``finish`` refuses
    the keys that nobody asked for.
    """

    def __init__(self, mapping: Any, place: str) -> None:
        if not isinstance(mapping, Mapping):
            raise UserError(f"{place} (= {shown(mapping)}) must be a mapping of names to values.")
        self.mapping = mapping
        self.place = place
        self._asked: set[str] = set()

    def where(self, key: str) -> str:
        """The full name of ``key``."""
        return f"{self.place}.{key}" if self.place else key

    def has(self, key: str) -> bool:
        """Whether ``key`` is given and not null."""
        self._asked.add(key)
        return self.mapping.get(key) is not None

    def expect(self, *keys: str) -> None:
        """Keys that will be asked for: none of them is another one misspelt."""
        self._asked.update(keys)

    def raw(self, key: str, default: Any = REQUIRED) -> Any:
        """The value as it stands; null counts as missing."""
        self._asked.add(key)
        value = self.mapping.get(key)
        if value is not None:
            return value
        if default is REQUIRED:
            near = difflib.get_close_matches(key, set(self.mapping) - self._asked, n=1)
            instead = f" (did you misspell it as '{near[0]}'?)" if near else ""
            raise UserError(f"{self.where(key)} is missing; give it a value{instead}.")
        return default

    def integer(self, key: str, default: Any = REQUIRED, *, minimum: int | None = None) -> int:
        """A whole number, at least ``minimum``."""
        value = self.raw(key, default)
        if value is default and default is not REQUIRED:
            return value
        return as_integer(value, self.where(key), minimum=minimum)

    def number(self, key: str, default: Any = REQUIRED) -> float:
        """A finite number."""
        value = self.raw(key, default)
        if not is_number(value):
            raise UserError(f"{self.where(key)} (= {shown(value)}) must be a finite number.")
        return float(value)

    def boolean(self, key: str, default: Any = REQUIRED) -> bool:
        """True or false."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise UserError(f"{self.where(key)} (= {shown(value)}) must be true or false.")
        return value

    def text(self, key: str, default: Any = REQUIRED) -> str:
        """A piece of text."""
        value = self.raw(key, default)
        if not isinstance(value, str):
            raise UserError(f"{self.where(key)} (= {shown(value)}) must be text.")
        return value

    def choice(self, key: str, options: Iterable[str], default: Any = REQUIRED) -> str:
        """One of ``options``."""
        value = self.text(key, default)
        options = list(options)
        if value not in options:
            raise UserError(
                f"{self.where(key)} (= {shown(value)}) must be one of {', '.join(options)}"
                f"{_hint(value, options)}"
            )
        return value

    def items(self, key: str, default: Any = REQUIRED) -> list[Any]:
        """A list that is not empty."""
        value = self.raw(key, default)
        if not is_list(value) or len(value) == 0:
            raise UserError(f"{self.where(key)} (= {shown(value)}) must be a list with at least one entry.")
        return list(value)

    def integers(self, key: str, default: Any = REQUIRED, *, minimum: int | None = None) -> list[int]:
        """A list of whole numbers."""
        return [
            as_integer(item, f"{self.where(key)}[{i}]", minimum=minimum)
            for i, item in enumerate(self.items(key, default))
        ]

    def section(self, key: str) -> Fields:
        """The mapping below ``key``; an empty one when it is missing."""
        return type(self)(self.raw(key, {}), self.where(key))

    def finish(self) -> None:
        """Refuse the keys that no getter asked for."""
        for key in self.mapping:
            if key not in self._asked:
                raise UserError(
                    f"{self.where(str(key))} (= {shown(self.mapping[key])}) is not a known setting"
                    f"{did_you_mean(str(key), self._asked)}"
                )


def as_integer(value: Any, place: str, *, minimum: int | None = None) -> int:
    """``value`` as a whole number, at least ``minimum``."""
    if not is_integer(value):
        raise UserError(f"{place} (= {shown(value)}) must be a whole number.")
    if minimum is not None and value < minimum:
        raise UserError(f"{place} (= {shown(value)}) must be at least {minimum}.")
    return int(value)


def at_least(place: str, value: Any, minimum: float) -> None:
    """Refuse what is no number of at least ``minimum``."""
    if not is_number(value) or value < minimum:
        raise UserError(f"{place} (= {shown(value)}) must be at least {minimum:g}.")


def shown(value: Any, limit: int = 60) -> str:
    """``value`` as an error message prints it: short, on one line."""
    try:
        text = " ".join(repr(value).split())
    except (ValueError, RecursionError):  # an integer of more digits than Python prints, or lists in lists
        text = f"a value of type {type(value).__name__} that is too large to be shown"
    text = text if encodable(text) else ascii(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _hint(value: str, options: list[str]) -> str:
    hint = did_you_mean(value, options)
    return hint if "did you mean" in hint else "."

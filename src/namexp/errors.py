"""The one exception for people, and how to word it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 2000  # characters of a message


class UserError(ValueError):
    """A mistake that the user can mend.

    Its message is one line: the value, what was expected, what to do. The outermost door
    prints that line and exits with status 1; everything below only raises.
    """


def did_you_mean(name: str, options: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of ``options``, or the list of them."""
    options = sorted(options)
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    near = near or [option for option in options if option.casefold() == name.casefold()]
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known are: {', '.join(options)}"


def one_line(error: BaseException) -> str:
    """The message of ``error`` without line breaks, cut off where it is longer than anybody reads."""
    text = " ".join(str(error).split())
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return text or type(error).__name__

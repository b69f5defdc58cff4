"""What every command does around its work: exit statuses, and one line for a user's mistake."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from namexp.errors import UserError, one_line

OK, FAILED, INTERRUPTED = 0, 1, 130


def shown(path: Path) -> str:
    """A path as people would type it: relative where that goes downwards."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def say(text: str, *, error: bool = False) -> None:
    """What a command answers, on stdout, or what it has to complain of, on stderr: only doors print."""
    print(text, file=sys.stderr if error else sys.stdout)


def refuse_missing(*paths: Path) -> None:
    """See that files or directories are there, before anything slow is begun.

    Raises:
        UserError: the first that is not.
    """
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: no such file.")


def refuse_other_format(path: Path, suffixes: Collection[str], what: str) -> None:
    """See that what will be written is not given the name of something else.

    Args:
        path: that was asked for; without a suffix it may be anything.
        suffixes: that it may have, in lower case.
        what: will be written.

    Raises:
        UserError: it has another.
    """
    suffix = path.suffix.lower()
    if suffix not in suffixes and re.fullmatch(r"\.[a-z0-9]*[a-z][a-z0-9]*", suffix):
        raise UserError(
            f"{path}: what is written is {what}, not {suffix[1:].upper()}; name it "
            f"{path.with_suffix(next(iter(suffixes)))}."
        )


def guarded(name: str, work: Callable[[], int | None]) -> int:
    """Run ``work`` and return the exit status of the command ``name``.

    A user's mistake and a file that cannot be read or written end in one line on stderr and status
    1; Ctrl-C in 130. Anything else is a defect of namexp and keeps its traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need be no text
    try:
        return work() or OK
    except (UserError, OSError) as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED

"""What every command does around its work: exit statuses, and one line for a user's mistake."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from namexp.errors import UserError, one_line
from namexp.process.signals import listening

OK, FAILED, INTERRUPTED = 0, 1, 130


def shown(path: Path) -> str:
    """A path as people would type it: relative where that goes downwards."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def say(text: str, *, error: bool = False) -> None:
    """What a command answers, on stdout, or what it has to complain of, on stderr: only doors print."""
    stream = sys.stderr if error else sys.stdout
    try:
        print(text, file=stream)
    except UnicodeEncodeError:  # a file name that is no text, or a terminal without its letters
        print(text.encode(stream.encoding, "backslashreplace").decode(stream.encoding), file=stream)


# --- what can be pasted into a shell ----------------------------------------------------------------


def in_hydras_words(text: str) -> str:
    """A value for an override that Hydra reads back as ``text``, whatever is in it."""
    literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # or it would be an interpolation
    return "'" + re.sub(r"(\\*)('|\Z)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), literal) + "'"


def setting(key: str, value: object) -> str:
    """``KEY=VALUE`` for a shell, whatever the value is."""
    text = str(value)
    is_plain = re.fullmatch(r"[A-Za-z/.][\w/.@%+-]*", text, re.ASCII) and text.lower() not in NO_TEXTS
    return shlex.quote(f"{key}={text if is_plain else in_hydras_words(text)}")


NO_TEXTS = ("null", "true", "false", "nan", "inf")  # in Hydra's grammar


def resuming(run: Path) -> str:
    """``resume=RUN`` for a shell: here a directory's name is taken as it is."""
    name = shown(run)
    return shlex.quote(f"resume={os.path.join('.', name) if name in ('auto', 'null') else name}")


def argument(path: Path) -> str:
    """A path as the argument of a command, for a shell: never a flag."""
    name = shown(path)
    return shlex.quote(os.path.join(".", name) if name.startswith("-") else name)


# --- around a command's work --------------------------------------------------------------------------


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
    1; Ctrl-C and SIGTERM in 130. Anything else is a defect of namexp and keeps its traceback.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need be no text
    try:
        with listening():
            return work() or OK
    except (UserError, OSError) as error:
        print(f"{name}: {one_line(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return INTERRUPTED

"""Bytes and text of regular files, up to a limit: a pipe would wait for ever, a device never end."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from namexp.errors import UserError

MEGABYTE = 10**6
# A pipe must not be waited for: whether it is one can only be told for certain once it is open.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


def open_regular(path: Path, limit: int) -> BinaryIO:
    """Open a regular file of at most ``limit`` bytes.

    Raises:
        UserError: missing, no regular file, too large, or it cannot be read.
    """
    try:
        handle = os.open(path, _FLAGS)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{path}: cannot be read: {reason}.") from None
    try:
        _check(path, os.fstat(handle), limit)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def check_regular(path: Path, limit: int) -> None:
    """See that another library can open ``path``: a regular file of at most ``limit`` bytes.

    Raises:
        UserError: missing, no regular file, too large, or it cannot be read.
    """
    open_regular(path, limit).close()


def _check(path: Path, found: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise UserError(f"{path}: cannot be read: Is a directory.")
    if not stat.S_ISREG(found.st_mode):
        raise UserError(f"{path}: is no regular file (a pipe or a device); give a file.")
    if found.st_size > limit:
        raise UserError(
            f"{path}: has {found.st_size / MEGABYTE:,.0f} MB, and {limit / MEGABYTE:,.0f} MB is the most "
            "that is read of such a file."
        )


def read_bytes(path: Path, limit: int) -> bytes:
    """The content of a regular file.

    Raises:
        UserError: as ``open_regular``.
    """
    with open_regular(path, limit) as file:
        try:
            content = file.read(limit + 1)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}.") from None
    if len(content) > limit:  # it grew while it was read
        raise UserError(f"{path}: has more than {limit / MEGABYTE:,.0f} MB.")
    return content


def read_text(path: Path, limit: int) -> str:
    """The content of a regular file that is UTF-8; a byte order mark is no part of it.

    Raises:
        UserError: as ``open_regular``, or it is not UTF-8.
    """
    try:
        return read_bytes(path, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text (byte {error.start}).") from None

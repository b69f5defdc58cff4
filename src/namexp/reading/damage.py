"""One guard around all that is made of a stored file's content."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from namexp.errors import UserError, one_line

# What content of another shape than expected raises, whoever meets it first.
KINDS = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    MemoryError,
)


@contextmanager
def content_of(path: Path) -> Iterator[None]:
    """Whatever breaks inside because of what ``path`` holds becomes one line that names it.

    Raises:
        UserError: something broke; one that names the file already goes on as it is.
    """
    try:
        yield
    except UserError as error:
        if str(path) in str(error):
            raise
        raise UserError(f"{path}: {error}") from None
    except KINDS as error:
        raise damaged(path, error) from error


def damaged(path: Path, error: BaseException) -> UserError:
    """The line for a file whose content is not what it should be."""
    return UserError(
        f"{path}: is damaged, or was not written by namexp: {type(error).__name__}: {one_line(error)[:160]}"
    )


def inside(root: Path, name: object) -> Path:
    """The path that a stored file names, which must lie in ``root``; links must not lead out of it either.

    Raises:
        UserError: it is no name, or leads elsewhere.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise UserError(f"{root}: names the file {ascii(name)[:60]}, which is no name.")
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{root}: names the file {name[:60]}, which lies outside of the directory.")
    return path

"""Where compiled kernels are kept. A library is code: nobody else may put one there, or change it.

A library is called by the digest of what it depends on, and its file also by that of its content. One that
is not as it was written, not ours, or writable by others is as good as none: it is compiled again.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import stat
import tempfile
from functools import cache
from pathlib import Path

from namexp.atomic import remove_leftovers
from namexp.errors import one_line

log = logging.getLogger(__name__)

# Windows' modes say nothing of others: there an ACL makes the user's profile, where the cache is, private
BY_OTHERS = 0 if os.name == "nt" else stat.S_IWGRP | stat.S_IWOTH
NOBODY_ELSE = 0  # the owner that Windows gives for every file


def _me() -> int:
    return NOBODY_ELSE if os.name == "nt" else os.getuid()


@cache
def folder() -> Path:
    """The user's cache, where it is safe; else a folder that lasts as long as the process."""
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return _private(root)
    except (OSError, RuntimeError) as error:  # the second: there is no home
        log.info("compiled kernels are not kept: %s", one_line(error))
        return Path(_temporary_folder().name)


def _private(root: Path) -> Path:
    """``namexp/kernels`` below ``root``, for its owner alone.

    Raises:
        OSError: it cannot be made, or somebody else could have put something there.
    """
    root.mkdir(parents=True, exist_ok=True)
    about = root.stat()
    if about.st_uid not in (0, _me()):
        raise PermissionError(f"{root} belongs to another user")
    if about.st_mode & BY_OTHERS & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX:
        raise PermissionError(f"{root} may be written by every user")
    path = root
    for name in ("namexp", "kernels"):
        path = path / name
        path.mkdir(mode=0o700, exist_ok=True)
        about = path.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != _me():
            raise PermissionError(f"{path} is no folder of this user")
        path.chmod(0o700)
    with tempfile.TemporaryFile(dir=path):
        remove_leftovers(path)
        return path


@cache
def _temporary_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="namexp-kernels-")


def find(library: Path) -> Path | None:
    """The file of ``library``, as it was written; whatever else is called so is removed."""
    for path in sorted(library.parent.glob(f"{library.stem}*{library.suffix}")):
        if _is_whole(path, library):
            return path
        with contextlib.suppress(OSError):  # ours to remove or not, it is not loaded
            path.unlink()
    return None


def _is_whole(path: Path, library: Path) -> bool:
    try:
        about = path.lstat()
        is_ours = stat.S_ISREG(about.st_mode) and about.st_uid == _me()
        return is_ours and not about.st_mode & BY_OTHERS and path == _file(library, path.read_bytes())
    except OSError:
        return False


def _file(library: Path, content: bytes) -> Path:
    return library.with_name(f"{library.stem}-{hashlib.sha256(content).hexdigest()[:32]}{library.suffix}")


def keep(built: Path, library: Path) -> None:
    """Give ``built``, a file on the same disk, its name: all of it is on the disk before."""
    with built.open("rb+") as opened:
        content = opened.read()
        os.fsync(opened.fileno())
    built.chmod(0o600)
    file = _file(library, content)
    try:
        os.replace(built, file)
    except PermissionError:  # on Windows, where another process has loaded the same content
        if not file.is_file():
            raise

"""Files that are whole or not there: written to a temporary name, then renamed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

if sys.platform != "win32":
    import fcntl

# .stem.RANDOM.suffix and, of a folder, .name.RANDOM: what tempfile makes of the names below
LEFTOVER = re.compile(r"\.(?P<name>.+)\.[a-z0-9_]{6,12}(?P<suffix>\.\w+)?")
# what namexp writes; another program's hidden file is not ours to remove
SUFFIXES = {
    *(".ckpt", ".csv", ".flac", ".html", ".json", ".nam", ".npy", ".onnx", ".png", ".safetensors", ".so"),
    *(".dll", ".txt", ".wav", ".yaml"),
}


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it to ``path``.

    Whatever ``write`` raises goes on; ``path`` is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
    temporary = Path(name)
    try:
        with _marked(handle):
            write(temporary)
            temporary.chmod(0o644)
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def scratch(path: Path) -> Iterator[Path]:
    """A folder beside ``path`` for what is to become it, gone afterwards."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as name:
        if os.name == "nt":
            yield Path(name)
            return
        with _marked(os.open(name, os.O_RDONLY)):
            yield Path(name)


@contextlib.contextmanager
def _marked(handle: int) -> Iterator[None]:
    """Hold a lock that tells ``remove_leftovers`` that somebody is at work; closes ``handle``."""
    try:
        if sys.platform == "win32":
            os.close(handle)  # an open file cannot be renamed there
        else:
            _lock(handle)
        yield
    finally:
        if sys.platform != "win32":
            os.close(handle)


def remove_leftovers(folder: Path) -> None:
    """Remove from ``folder`` the temporary files of processes that were killed; not those of live ones."""
    if sys.platform == "win32" or not folder.is_dir():
        return
    for path in folder.glob(".*"):
        if _is_ours(path):
            with contextlib.suppress(OSError):  # somebody else was quicker, or may and we may not
                _remove_unless_held(path)


def _is_ours(path: Path) -> bool:
    found = LEFTOVER.fullmatch(path.name)
    if found is None or path.is_symlink():
        return False
    suffix = found["suffix"] if path.is_file() else Path(found["name"]).suffix
    return (suffix or "") in SUFFIXES


def _remove_unless_held(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not _lock(handle):
            return
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Whether nobody else has it; also where the file system knows no locks."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True

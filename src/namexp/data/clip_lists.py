"""Lists of clips: ``id|text|text``, or one path a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from namexp.errors import UserError

SUFFIXES = (".wav", ".flac")  # that an entry may leave out


class Entry(NamedTuple):
    """One line of a list.

    Attributes:
        name: what it says before the first ``|``.
        line: its number, from 1.
        is_id: whether there was a ``|``: then it names a clip of the directory, else any file.
    """

    name: str
    line: int
    is_id: bool


def read_list(path: Path) -> list[Entry]:
    """The entries of a UTF-8 file, with or without a byte order mark, blank lines left out.

    Raises:
        UserError: missing, not UTF-8, without entries, an entry twice, or an id that leaves the directory.
    """
    entries = [_entry(line, number, path) for number, line in enumerate(_lines(path), 1) if line.strip()]
    if not entries:
        raise UserError(f"{path}: lists no clips; write id|text|text or one path a line.")
    first: dict[str, int] = {}
    for entry in entries:
        if entry.name in first:
            raise UserError(
                f"{path}: line {entry.line} names {entry.name} again (first in line {first[entry.name]}); "
                "remove one of them."
            )
        first[entry.name] = entry.line
    return entries


def _lines(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such list of clips.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 (byte {error.start}); save it as UTF-8.") from None
    # not splitlines: it cuts at characters that belong to a text, such as U+2028
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _entry(line: str, number: int, path: Path) -> Entry:
    name, bar, _ = line.partition("|")
    name = name.strip()
    if not name or "\0" in name:
        raise UserError(f"{path}: line {number} has no clip before its first '|'.")
    if bar and leaves(name):
        raise UserError(
            f"{path}: line {number}: {name} leaves the directory of the clips; an id is a name inside it. "
            "Paths go into a list without '|'."
        )
    return Entry(name, number, bool(bar))


def leaves(name: str) -> bool:
    """Whether a name leads out of the directory that it is looked for in."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or Path(name).is_absolute()


def find(entry: Entry, directory: Path, list_directory: Path) -> Path | None:
    """The file that an entry means; None: there is none.

    An id lies in ``wavs/`` or in the directory itself; a path begins at the list's directory, or there.
    """
    places = [directory / "wavs", directory]
    if not entry.is_id:
        places.insert(0, list_directory)
    return next((path for path in _candidates(entry.name, places) if path.is_file()), None)


def _candidates(name: str, places: Iterable[Path]) -> Iterable[Path]:
    given = name.lower().endswith(SUFFIXES)
    spellings = [name] if given else [*(name + suffix for suffix in SUFFIXES), name]
    for place in places:
        for spelling in spellings:
            yield place / spelling


def without_suffix(name: str) -> str:
    """A clip's name as people and other files say it."""
    return name[: name.rindex(".")] if name.lower().endswith(SUFFIXES) else name

"""Zip archives, such as torch's checkpoints are: whole, to the last bit."""

from __future__ import annotations

import zipfile
from pathlib import Path

from namexp.errors import UserError, one_line
from namexp.reading.regular import MEGABYTE, open_regular

LIMIT = 64_000 * MEGABYTE
MOST_ENTRIES = 200_000


def verify_archive(path: Path) -> None:
    """Compare every entry with the checksum that was written with it: whoever loads it does not.

    Raises:
        UserError: it is no archive, or not what was written.
    """
    with open_regular(path, LIMIT) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                _check_entries(path, archive)
                wrong = archive.testzip()
        except UserError:
            raise
        except Exception as error:  # a damaged archive raises many kinds
            raise UserError(f"{path}: not a checkpoint that can be read ({one_line(error)[:160]}).") from None
    if wrong is not None:
        raise UserError(
            f"{path}: is damaged: the content of its part {wrong!a} is not what was written "
            "(its checksum differs); take another copy of the file."
        )


def _check_entries(path: Path, archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise UserError(f"{path}: has {len(entries)} parts, and {MOST_ENTRIES} is the most.")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise UserError(
            f"{path}: has packed parts, which a checkpoint never has; it could unpack to anything."
        )
    if sum(entry.file_size for entry in entries) > LIMIT:
        raise UserError(f"{path}: its parts are larger than {LIMIT / MEGABYTE:,.0f} MB.")


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive at all; older checkpoints are none, and have no checksums."""
    with open_regular(path, LIMIT) as file:
        return zipfile.is_zipfile(file)

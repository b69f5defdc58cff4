"""What is no file is refused at once, and what is too large before it is read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from namexp.errors import UserError
from namexp.reading.regular import check_regular, read_bytes, read_text


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfGr\xc3\xb6\xc3\x9fe\r\n")
    assert read_text(tmp_path / "a", 100) == "Größe\r\n"
    assert read_bytes(tmp_path / "a", 12) == b"\xef\xbb\xbfGr\xc3\xb6\xc3\x9fe\r\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "link to a device", "link to a pipe"])
def test_what_would_never_end_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to a pipe":
        os.mkfifo(tmp_path / "p")
        path.symlink_to(tmp_path / "p")
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(UserError, match=re.escape(f"{path}: is no regular file")):
        read_bytes(path, 1000)


def test_a_directory_and_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        check_regular(tmp_path, 10)
    with pytest.raises(UserError, match="no such file"):
        check_regular(tmp_path / "nowhere", 10)
    with pytest.raises(UserError, match="cannot be read: embedded null byte"):
        check_regular(tmp_path / "a\0b", 10)


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2 * 10**9)
    with pytest.raises(UserError, match=r"sparse: has 2,000 MB, and 64 MB is the most"):
        read_bytes(tmp_path / "sparse", 64 * 10**6)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"caf\xe9")
    with pytest.raises(UserError, match=r"is not UTF-8 text \(byte 3\)"):
        read_text(tmp_path / "a", 100)

from __future__ import annotations

from pathlib import Path

import pytest

from namexp.data.clip_lists import Entry, find, read_list, without_suffix
from namexp.errors import UserError


def _list(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_ids_and_paths(tmp_path: Path) -> None:
    path = _list(tmp_path / "train.txt", b"a|Ahoj|x|y\nsub/b.wav\n c |\n")
    assert read_list(path) == [Entry("a", 1, True), Entry("sub/b.wav", 2, False), Entry("c", 3, True)]


def test_byte_order_mark_line_ends_and_blank_lines(tmp_path: Path) -> None:
    content = "\ufeffa|čeština\r\n\r\n   \r\nb|text with \u2028 inside\r\n"
    path = _list(tmp_path / "train.txt", content.encode())
    assert [(e.name, e.line) for e in read_list(path)] == [("a", 1), ("b", 4)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "lists no clips"),
        (b"\n \n", "lists no clips"),
        (b"a|x\nb|x\na|y\n", r"line 3 names a again \(first in line 1\)"),
        (b"|text\n", "line 1 has no clip before"),
        (b"ok|x\n../up|x\n", r"line 2: \.\./up leaves the directory"),
        (b"/etc/passwd|x\n", "line 1: /etc/passwd leaves the directory"),
        (b"a/../../b|x\n", "leaves the directory"),
        (b"a\\..\\..\\b|x\n", "leaves the directory"),
        ("č|x".encode("cp1250"), r"is not UTF-8 \(byte 0\)"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path: Path, content: bytes, said: str) -> None:
    path = _list(tmp_path / "train.txt", content)
    with pytest.raises(UserError, match=said) as caught:
        read_list(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.txt: no such list"):
        read_list(tmp_path / "gone.txt")


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_an_id_lies_in_wavs_before_the_directory(tmp_path: Path) -> None:
    outside = _touch(tmp_path / "a.wav")
    assert find(Entry("a", 1, True), tmp_path, tmp_path) == outside
    inside = _touch(tmp_path / "wavs" / "a.wav")
    for name in ("a", "a.wav"):
        assert find(Entry(name, 1, True), tmp_path, tmp_path) == inside
    assert find(Entry("b", 1, True), tmp_path, tmp_path) is None


def test_an_id_is_not_looked_for_beside_its_list(tmp_path: Path) -> None:
    _touch(tmp_path / "lists" / "a.wav")
    assert find(Entry("a", 1, True), tmp_path, tmp_path / "lists") is None


def test_a_path_begins_at_its_list_then_at_the_directory(tmp_path: Path) -> None:
    lists = tmp_path / "lists"
    in_wavs = _touch(tmp_path / "wavs" / "a.flac")
    assert find(Entry("a", 1, False), tmp_path, lists) == in_wavs
    assert find(Entry("wavs/a", 1, False), tmp_path, lists) == in_wavs
    beside = _touch(lists / "a.wav")
    assert find(Entry("a.wav", 1, False), tmp_path, lists) == beside
    assert find(Entry(str(beside), 1, False), tmp_path, lists) == beside
    assert find(Entry("../wavs/a.flac", 1, False), tmp_path, lists) == lists / "../wavs/a.flac"


def test_a_name_with_a_dot_keeps_it() -> None:
    assert without_suffix("take.2") == "take.2"
    assert without_suffix("take.2.WAV") == "take.2"
    assert without_suffix("sub/a.flac") == "sub/a"

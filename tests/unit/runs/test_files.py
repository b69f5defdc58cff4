"""Files that are whole or not there."""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path

import pytest

from namexp.atomic import write_atomically
from namexp.errors import UserError
from namexp.runs.files import finite, read_json, write_json, write_text


def test_a_writer_that_raises_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    path.write_text("old")

    def half(temporary: Path) -> None:
        temporary.write_text("ha")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_atomically(path, half)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["last.ckpt"]


def test_an_interrupted_writer_leaves_nothing(tmp_path: Path) -> None:
    def interrupted(temporary: Path) -> None:
        temporary.write_text("ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "new" / "last.ckpt", interrupted)
    assert os.listdir(tmp_path / "new") == []


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    path.parent.mkdir(parents=True)
    path.write_text("old")
    seen = []

    def write(temporary: Path) -> None:
        assert temporary.parent == path.parent  # the same file system: a rename is atomic
        assert temporary.suffix == ".txt"  # writers that go by the suffix see the right one
        temporary.write_text("new")
        seen.append(path.read_text())

    write_atomically(path, write)
    assert seen == ["old"]
    assert path.read_text() == "new"
    assert os.listdir(path.parent) == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_text_is_utf8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Größe\n")
    assert (tmp_path / "a.txt").read_bytes() == "Größe\n".encode()


def test_json_is_strict(tmp_path: Path) -> None:
    content = {"a": math.nan, "b": [1.5, -math.inf, {"c": (math.inf, 2)}], "d": "NaN", "e": None, "f": True}
    write_json(tmp_path / "a.json", content)
    text = (tmp_path / "a.json").read_text()
    expected = {"a": None, "b": [1.5, None, {"c": [None, 2]}], "d": "NaN", "e": None, "f": True}
    assert json.loads(text) == expected
    assert text.endswith("}\n")
    assert read_json(tmp_path / "a.json") == expected


def test_content_that_json_cannot_hold_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"a": object()})
    assert read_json(tmp_path / "a.json") == {"a": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_finite_leaves_everything_else_as_it_is() -> None:
    assert finite({"a": 0.5, "b": 10**400, "c": "inf"}) == {"a": 0.5, "b": 10**400, "c": "inf"}


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no such file."), ('{"a": ', "not JSON: Expecting value"), ("[1]", "must hold a JSON object.")],
)
def test_json_that_cannot_be_read(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=re.escape(f"{path}: {message}")):
        read_json(path)

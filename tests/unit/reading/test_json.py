"""JSON of strangers: numbers, depth and text that Python's reader stumbles over."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from namexp.errors import UserError
from namexp.reading.json_deep import decoded
from namexp.reading.json_text import parsed, read_object
from tests.unit.reading.refusing import refusal


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1234567890123456789", 1234567890123456789),
        ("-1234567890123456789", -1234567890123456789),
        ("12345678901234567890", 12345678901234567890.0),
        ("1" * 5000, math.inf),
        ("-" + "1" * 401, -math.inf),
        ("1e999", math.inf),
        ("[1, 2.5]", [1, 2.5]),
        ('"\\ud83d\\ude00"', "\U0001f600"),
    ],
)
def test_numbers_and_text(text: str, value: Any) -> None:
    found = parsed(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": "\\ud800"}', "half of a character"),
        ('{"\\udc00": 1}', "half of a character"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "nested more than 100 deep"),
        ('{"a": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested"),
        ("[" * 200_000, "nested"),
        ('{"a": [' + "[]," * 600_000 + "1]}", "holds too much: 60000"),
        ('{"a": 1', "Expecting"),
        ("", "Expecting value"),
    ],
    ids=lambda value: value[:12],
)
def test_what_is_refused_is_told_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "summary.json"
    path.write_text(text)
    line = refusal(read_object, path, told)
    assert line.startswith(f"{path}: not JSON: ")
    assert len(line) < 400


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"a": "caf\xe9"}')
    with pytest.raises(UserError, match=r"a\.json: not JSON: 'utf-8' codec can't decode byte 0xe9"):
        read_object(tmp_path / "a.json")


TEXT = '{"a": [1, 2.5, -3e2, "x\\u00e9", {"b": null, "c": []}, {}, true], "d": {"e": false}}'


def test_the_reader_without_a_limit_reads_the_same() -> None:
    assert decoded(f" {TEXT} rest") == (json.loads(TEXT), len(TEXT) + 1)
    deep, end = decoded("[" * 50_000 + "7" + "]" * 50_000)
    depth = 0
    while isinstance(deep, list):
        (deep,) = deep
        depth += 1
    assert (depth, deep, end) == (50_000, 7, 100_001)


@pytest.mark.parametrize("at", range(len(TEXT)))
def test_the_reader_without_a_limit_refuses_the_same(at: int) -> None:
    for new in '[]{},:"0e.-t \\':
        text = TEXT[:at] + new + TEXT[at + 1 :]
        try:
            expected: Any = json.JSONDecoder().raw_decode(text.lstrip())[0]
        except ValueError:
            expected = None
        try:
            found: Any = decoded(text)[0]
        except ValueError:
            found = None
        assert found == expected, text

"""Stored configs are literal, and tables have the cells that their head names."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namexp.errors import UserError
from namexp.reading.csv_rows import read_rows
from namexp.reading.yaml_text import read_yaml, read_yaml_text
from namexp.schema.resuming import stored_config
from tests.unit.reading.refusing import refusal

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
STORED = "model: {kind: wavenet}\ntrainer: {max_epochs: 1}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (BOMB, r"line 2 has the alias \*a"),
        ("a: " + "[" * 5000, "nested more than 50 deep"),
        ("a: [1\n", "cannot be read: not YAML"),
        ("a: !!python/object/apply:os.system [id]", "cannot be read: not YAML"),
        ("a: !!binary aGk=", "a value of type bytes"),
        ("a: " + "9" * 5000, "cannot be read: not YAML"),
        ('a: "\\ud800"', "not YAML|text that is none"),
    ],
    ids=["bomb", "depth", "open", "code", "bytes", "digits", "half"],
)
def test_what_has_no_place_in_a_stored_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    refusal(read_yaml, path, told)


def test_dates_are_text_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: 2026-11-25\nb: 1.5\nc: [true, null, 07]\n")
    assert read_yaml(tmp_path / "a.yaml") == {"name": "2026-11-25", "b": 1.5, "c": [True, None, 7]}


def test_interpolations_are_refused_where_they_would_be_looked_up(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"{STORED}export:\n  metadata:\n    name: 'x ${{oc.env:SECRET}}'\n")
    with pytest.raises(
        UserError, match=r"config\.yaml: line 5 holds an interpolation \('x \$\{oc\.env:SECRET\}'\)"
    ):
        stored_config(path)
    assert read_yaml(path)["export"]["metadata"]["name"] == "x ${oc.env:SECRET}", "elsewhere it is text"
    assert "SECRET" in read_yaml_text(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must hold the groups of a config"),
        ("model: 5\ntrainer: {}\n", r"model \(= 5\) must be a group of settings"),
        ("model: {kind: wavenet}\ntrainer: 5\n", r"trainer \(= 5\) must be a group of settings"),
        ("- 1\n", "must hold the groups of a config"),
    ],
)
def test_a_stored_config_has_groups(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=told):
        stored_config(tmp_path / "config.yaml")


def test_rows_have_the_cells_of_the_head(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text('epoch,step,ESR\n0,9\n1,19,"0.5"\n2,29,0.2')
    assert read_rows(path, whole=True) == [
        {"epoch": "0", "step": "9", "ESR": ""}, {"epoch": "1", "step": "19", "ESR": "0.5"},
    ]  # fmt: skip
    assert len(read_rows(path)) == 3


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"epoch,step\n0,1,2,3\n", "line 2 has more cells than the head has names"),
        (b"epoch,step\n0," + b"7" * 200_000 + b"\n", "field larger than field limit"),
        (b"epoch,step\n\xff,1\n", "is not UTF-8 text"),
        (b"epoch," + b"," * 6_000_000, "has more than 5000000 cells"),
    ],
    ids=["cells", "field", "bytes", "many"],
)
def test_a_damaged_table_is_told_in_one_line(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_bytes(content)
    refusal(read_rows, path, told)


@pytest.mark.parametrize("value", [10**400, -(10**400), 2**63, 10**4200])
@pytest.mark.parametrize("place", ["loss.mse_weight", "optimizer.lr", "data.ny", "trainer.max_epochs"])
def test_integers_beyond_every_number_are_named(
    experiment_config: Callable[..., Any], place: str, value: int
) -> None:
    with pytest.raises(UserError, match=rf"{re.escape(place)} \(= -?\d.*\) is too large: no setting takes"):
        experiment_config(f"{place}={value}")

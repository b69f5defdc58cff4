"""Strict JSON, the rules of the root, and files that are whole or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from namexp.errors import UserError
from namexp.nam.document import check_root, load_document, save_document

ROOT: dict[str, Any] = {"version": "0.7.0", "architecture": "Linear", "config": {}, "weights": []}


@pytest.mark.parametrize("version", ["0.5.0", "0.5.4", "0.6.0", "0.7.0", "0.7.12"])
def test_versions_that_load(version: str) -> None:
    check_root({**ROOT, "version": version}, "")


@pytest.mark.parametrize("version", ["0.4.9", "0.8.0", "1.0.0", "0.7", "v0.7.0", "0.7.0-rc1", "", 7, None])
def test_versions_that_do_not(version: object) -> None:
    with pytest.raises(UserError, match=r"version .* is not supported: 0\.5\.0 to 0\.7\.x are"):
        check_root({**ROOT, "version": version}, "")


@pytest.mark.parametrize("key", list(ROOT))
def test_a_missing_key_is_named_with_its_place(key: str) -> None:
    document = {k: v for k, v in ROOT.items() if k != key}
    with pytest.raises(UserError, match=rf"config\.submodels\[1\]\.model\.{key} is missing"):
        check_root(document, "config.submodels[1].model")


@pytest.mark.parametrize("text", ["[1, 2]", '{"a": NaN}', '{"a": -Infinity}', '{"a": 1', ""])
def test_what_is_not_strict_json_with_an_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.nam"
    path.write_text(text)
    with pytest.raises(UserError, match=r"model\.nam"):
        load_document(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.nam: no such file"):
        load_document(tmp_path / "nowhere.nam")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "model.nam"
    save_document(ROOT, path)
    with pytest.raises(ValueError, match="JSON"):
        save_document({**ROOT, "weights": [float("nan")]}, path)
    assert json.loads(path.read_text()) == ROOT
    assert [p.name for p in tmp_path.iterdir()] == ["model.nam"]

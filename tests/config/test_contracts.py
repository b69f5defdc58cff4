"""Import contracts guard every room: one that they do not name is a failure, not a gap."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "namexp"

# Who may know a library, besides those whom its contract names.
KNOW = {
    "Hydra and OmegaConf": {"engine", "schema", "sweeps", "tasks", "train"},
    "W&B": {"tracking"},
    "Sound files": {"audio"},
    "auraloss": {"losses"},
    "Lightning": {"engine", "tasks", "tracking"},
    "Nobody below them knows a task": {
        "evaluate",
        "export",
        "inspect",
        "official",
        "render",
        "synthesize",
        "tasks",
        "train",
    },
}
LAYERS = "Imports go downhill"


def _contracts() -> dict[str, dict[str, Any]]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return {c["name"]: c for c in tomllib.load(file)["tool"]["importlinter"]["contracts"]}


def _rooms() -> set[str]:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    return packages | {path.stem for path in SOURCE.glob("*.py") if path.stem != "__init__"}


def _unnamed(rooms: Iterable[str]) -> dict[str, set[str]]:
    """The rooms that a contract says nothing of, by contract."""
    contracts = _contracts()
    layers = {name for layer in contracts[LAYERS]["layers"] for name in layer.split(" | ")}
    found = {LAYERS: set(rooms) - layers}
    for name, know in KNOW.items():
        named = {module.split(".")[1] for module in contracts[name]["source_modules"]}
        found[name] = set(rooms) - named - know
    return {name: unnamed for name, unnamed in found.items() if unnamed}


def test_every_room_is_named_in_every_contract() -> None:
    assert _unnamed(_rooms()) == {}


def test_nobody_is_excepted_who_is_not_there() -> None:
    assert set().union(*KNOW.values()) <= _rooms()


def test_a_new_room_must_be_named_everywhere() -> None:
    assert _unnamed({*_rooms(), "attic"}) == {name: {"attic"} for name in (LAYERS, *KNOW)}


def test_few_rooms_and_no_loose_modules_but_doors_and_the_ground_floor() -> None:
    loose = {path.stem for path in SOURCE.glob("*.py") if path.stem != "__init__"}
    ground = {"atomic", "conf_dir", "door", "errors"}
    doors = {path.stem for path in SOURCE.glob("*.py") if "def main() -> int:" in path.read_text()}
    programs = {"official"}  # a door for programs
    assert loose == doors | ground | programs
    assert len(_rooms()) <= 30


@pytest.mark.parametrize("place", ["", "tasks", "tasks/capture", "tasks/density", "tasks/vocoder"])
def test_the_linter_refuses_a_room_that_it_was_not_told_of(tmp_path: Path, place: str) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    attic = tmp_path / "src" / "namexp" / place / "attic"
    attic.mkdir()
    (attic / "__init__.py").write_text("")
    linted = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert linted.returncode == 1, linted.stdout
    assert "attic" in linted.stdout

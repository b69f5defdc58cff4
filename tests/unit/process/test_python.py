"""A further Python imports what this one does, and nothing of the directory in which it works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from namexp.process.python import SOURCE, python_environment, python_module


@pytest.mark.parametrize("of_own", [True, False])
def test_folders_are_named_in_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, of_own: bool) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "relative", "/absolute"])
    environment = python_environment(of_own_directory=of_own)
    own = [str(tmp_path)] if of_own else []
    assert environment["PYTHONPATH"].split(os.pathsep) == [
        *own, str(tmp_path / "relative"), "/absolute", str(SOURCE),
    ]  # fmt: skip
    assert environment["PYTHONSAFEPATH"] == "1"


def test_modules_that_lie_in_its_directory_are_not_imported(tmp_path: Path) -> None:
    for name in ("hydra", "torch", "argparse"):
        (tmp_path / f"{name}.py").write_text("import pathlib; pathlib.Path('came').touch()\n")
    (tmp_path / "namexp").mkdir()
    (tmp_path / "namexp" / "__init__.py").write_text("import pathlib; pathlib.Path('came').touch()\n")
    script = (
        "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'import argparse']).returncode)"
    )
    for command in (
        python_module("namexp.sweep", "status", "nowhere"),
        [sys.executable, "-c", script],  # what it starts itself
    ):
        done = subprocess.run(
            command, cwd=tmp_path, env=python_environment(of_own_directory=False), capture_output=True,
            text=True, timeout=100,
        )  # fmt: skip
        assert not (tmp_path / "came").exists()
        assert done.stderr.startswith("namexp.sweep: nowhere: holds no sweep.json") or done.stdout == "0\n"

"""What becomes of a process that goes on with a sweep."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from namexp.errors import UserError
from namexp.runs.files import write_json
from namexp.sweeps.directory import SweepLayout
from namexp.sweeps.resume import resume


class BecameError(Exception):
    """Instead of becoming another program."""


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    def execve(program: str, command: list[str], environment: dict[str, str]) -> None:
        calls.append((program, command, environment))
        raise BecameError

    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(os, "chdir", calls.append)
    return calls


def _record(tmp_path: Path, **changed: Any) -> SweepLayout:
    sweep = SweepLayout(tmp_path / "it's a ${sweep}")
    record = {
        "task": ["seed=0,1"], "hydra": ["hydra.sweep.dir=x", "hydra.verbose=false"], "flags": [],
        "cwd": str(tmp_path), "space": None, "jobs": [],
    }  # fmt: skip
    write_json(sweep.record, {**record, **changed})
    return sweep


def test_no_folder_of_the_sweep_is_searched_for_modules(
    tmp_path: Path, became: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])  # as after python -m, beside the sweep
    sweep = _record(tmp_path, flags=["--config-dir", str(tmp_path), "--config-name", "mine"])
    with pytest.raises(BecameError):
        resume(sweep, ["hydra/launcher=basic"])
    where, (program, command, environment) = became
    assert where == str(tmp_path)
    root = str(sweep.root.resolve()).replace("'", "\\'").replace("${", "\\${")
    assert (program, command) == (
        sys.executable,
        [
            sys.executable, "-P", "-m", "namexp.train", "-m", "--config-dir", str(tmp_path), "--config-name",
            "mine", "hydra.verbose=false", "hydra/launcher=basic", f"hydra.sweep.dir='{root}'", "seed=0,1",
            "resume=auto",
        ],
    )  # fmt: skip
    searched = environment["PYTHONPATH"].split(os.pathsep)
    assert environment["PYTHONSAFEPATH"] == "1"
    assert str(tmp_path) not in searched
    assert all(os.path.isabs(folder) for folder in searched)


@pytest.mark.parametrize(
    "changed",
    [
        {"task": ["--experimental-rerun=evil.pickle"]},
        {"hydra": ["--config-path=evil"]},
        {"flags": ["--config-dir", "relative"]},
        {"flags": ["--experimental-rerun", "evil.pickle"]},
        {"flags": ["--config-name", "a", "seed=3"]},
    ],
    ids=str,
)
def test_what_is_no_override_is_refused(tmp_path: Path, became: list[Any], changed: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="holds more than overrides"):
        resume(_record(tmp_path, **changed), [])
    assert became == []

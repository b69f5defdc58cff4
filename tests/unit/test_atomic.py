"""Temporary files of processes that were killed go; those of live ones and of others stay."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from namexp.atomic import remove_leftovers, scratch, write_atomically

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no such locks on Windows")

KILLED = """
import os, sys
from pathlib import Path
from namexp.atomic import scratch, write_atomically
for name in ("comparison.png", "last.ckpt"):
    if os.fork() == 0:
        write_atomically(Path(sys.argv[1], name), lambda path: os._exit(0))
    os.wait()
if os.fork() == 0:
    with scratch(Path(sys.argv[1], "model.nam")) as folder:
        (folder / "model.nam").write_text("half")
        os._exit(0)
os.wait()
"""


def test_those_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=True, timeout=60)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.rsplit(".", 2)[0] for name in names[:2]] == [".comparison", ".last"]
    assert names[2].startswith(".model.nam.")
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_being_written_stays(tmp_path: Path) -> None:
    seen = []

    def write(temporary: Path) -> None:
        remove_leftovers(tmp_path)
        seen.append(temporary.exists())
        temporary.write_text("whole")

    write_atomically(tmp_path / "a.json", write)
    with scratch(tmp_path / "model.nam") as folder:
        (folder / "x").write_text("kept")
        remove_leftovers(tmp_path)
        seen.append((folder / "x").exists())
    assert seen == [True, True]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
    assert (tmp_path / "a.json").read_text() == "whole"


@pytest.mark.parametrize(
    "name",
    [
        ".hydra",
        ".lock",
        ".interrupted",
        ".notes.txt",
        ".a.b.txt",
        "x.abcd1234.png",
        ".x.abcd1234.py",
        ".gitignore",
    ],
)
def test_what_is_no_temporary_file_of_ours_stays(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    remove_leftovers(tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_a_link_and_a_pipe_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "target.png").write_text("mine")
    (tmp_path / ".a.abcd1234.png").symlink_to(tmp_path / "target.png")
    os.mkfifo(tmp_path / ".b.abcd1234.png")
    remove_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".a.abcd1234.png", ".b.abcd1234.png", "target.png",
    ]  # fmt: skip

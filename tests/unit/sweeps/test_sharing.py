"""One training for all jobs of a sweep that would train the same."""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from namexp.runs.layout import RunLayout
from namexp.sweeps.sharing import SharedTrainings, adopt
from namexp.tasks.capture.layout import LEAVES, NAM, CaptureLayout

HOLDER = """
import sys, time
from pathlib import Path
from namexp.runs.layout import RunLayout
from namexp.sweeps.sharing import SharedTrainings
root = Path(sys.argv[1])
with SharedTrainings(root).turn("abc", RunLayout(root / "0")) as source:
    assert source is None
    (root / "held").touch()
    time.sleep(600)
"""


_adopt = functools.partial(adopt, leaves=LEAVES, products=(NAM,))


def _trained(root: Path, number: int) -> CaptureLayout:
    run = CaptureLayout(root / str(number))
    run.checkpoints.mkdir(parents=True)
    run.last_checkpoint.write_bytes(b"last")
    run.best_checkpoint.write_bytes(b"best")
    run.packed_best_submodel(0).write_bytes(b"sub 0")
    run.packed_best.write_text("{}")
    run.metrics.write_text("epoch,step\n0,1\n")
    return run


def test_the_first_trains_and_the_next_finds_it(tmp_path: Path) -> None:
    shared, first, second = SharedTrainings(tmp_path), _trained(tmp_path, 0), RunLayout(tmp_path / "1")
    with shared.turn("abc", first) as source:
        assert source is None
        shared.announce("abc", first)
    with shared.turn("abc", second) as source:
        assert source is not None
        assert source.root.resolve() == first.root.resolve()
    with shared.turn("another", second) as source:
        assert source is None
    with shared.turn("abc", first) as source:
        assert source is None, "a run is not its own source"


def test_one_that_broke_off_leaves_it_to_the_next(tmp_path: Path) -> None:
    shared = SharedTrainings(tmp_path)
    with pytest.raises(RuntimeError), shared.turn("abc", RunLayout(tmp_path / "0")):
        raise RuntimeError
    with shared.turn("abc", RunLayout(tmp_path / "1")) as source:
        assert source is None


def test_a_training_that_was_removed_is_done_again(tmp_path: Path) -> None:
    shared, first = SharedTrainings(tmp_path), _trained(tmp_path, 0)
    shared.announce("abc", first)
    first.last_checkpoint.unlink()
    with shared.turn("abc", RunLayout(tmp_path / "1")) as source:
        assert source is None


def test_the_sweep_may_be_moved(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "elsewhere" / "new"
    SharedTrainings(old).announce("abc", _trained(old, 0))
    new.parent.mkdir()
    old.rename(new)
    with SharedTrainings(new).turn("abc", RunLayout(new / "1")) as source:
        assert source is not None
        assert source.last_checkpoint.read_bytes() == b"last"


def test_a_second_job_waits(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shared, first = SharedTrainings(tmp_path), _trained(tmp_path, 0)
    entered = threading.Event()
    seen: list[str] = []

    def second() -> None:
        entered.wait()
        with shared.turn("abc", RunLayout(tmp_path / "1")) as source:
            seen.append("waited" if source is not None else "trained beside")

    thread = threading.Thread(target=second)
    thread.start()
    with caplog.at_level(logging.INFO), shared.turn("abc", first):
        entered.set()
        while not caplog.messages:
            time.sleep(0.01)
        assert seen == []
        shared.announce("abc", first)
    thread.join(timeout=10)
    assert seen == ["waited"]
    assert caplog.messages == ["waiting for another job of the sweep, which trains the same (abc)"]


def test_a_dead_ones_lock_is_taken_over(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)])
    while not (tmp_path / "held").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    with SharedTrainings(tmp_path).turn("abc", RunLayout(tmp_path / "1")) as source:
        assert source is None


def test_what_is_adopted_stands_on_its_own(tmp_path: Path) -> None:
    source, run = _trained(tmp_path, 0), CaptureLayout(tmp_path / "1")
    run.root.mkdir()
    run.packed_best_submodel(5).write_bytes(b"of an earlier attempt")
    assert _adopt(source, run) == "../0"
    assert run.last_checkpoint.read_bytes() == b"last"
    assert run.best_checkpoint.read_bytes() == b"best"
    assert not run.packed_best_submodel(5).exists()
    with run.metrics.open("a") as file:
        file.write("1,2\n")
    assert source.metrics.read_text() == "epoch,step\n0,1\n", "a table that grows is not shared"
    for path in source.root.rglob("*"):
        if path.is_file():
            path.unlink()
    assert run.packed_best_submodel(0).read_bytes() == b"sub 0"


def test_where_links_are_not_possible_files_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("not supported")

    monkeypatch.setattr(os, "link", refuse)
    run = RunLayout(tmp_path / "1")
    _adopt(_trained(tmp_path, 0), run)
    assert run.last_checkpoint.read_bytes() == b"last"

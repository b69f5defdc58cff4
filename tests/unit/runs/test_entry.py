"""A run directory is entered once, and its status says the truth."""

from __future__ import annotations

import datetime
import fcntl
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from namexp.errors import UserError
from namexp.process.signals import listening
from namexp.runs.entry import entered, record_failure
from namexp.runs.files import read_json, write_json
from namexp.runs.layout import RunLayout

KEYS = ["state", "error", "pid", "started", "ended"]


@pytest.fixture
def run(tmp_path: Path) -> RunLayout:
    return RunLayout(tmp_path / "new" / "run")


def _status(run: RunLayout) -> dict[str, Any]:
    status = read_json(run.status)
    assert list(status) == KEYS
    assert status["pid"] == os.getpid()
    for key in ("started", "ended"):
        if status[key] is not None:
            assert datetime.datetime.fromisoformat(status[key]).utcoffset() == datetime.timedelta(0)
    return status


def test_running_then_done(run: RunLayout) -> None:
    with entered(run):
        inside = _status(run)
        assert (inside["state"], inside["error"], inside["ended"]) == ("running", None, None)
    after = _status(run)
    assert (after["state"], after["error"]) == ("done", None)
    assert after["started"] == inside["started"] <= after["ended"]


def test_failed_says_why_in_one_line_and_raises_on(run: RunLayout) -> None:
    with pytest.raises(RuntimeError, match="out of\nmemory"), entered(run):
        raise RuntimeError("out of\nmemory")
    status = _status(run)
    assert (status["state"], status["error"]) == ("failed", "RuntimeError: out of memory")
    assert status["ended"] is not None


def test_what_cannot_be_asked_leaves_a_run_as_it_was_but_not_what_fails_later(run: RunLayout) -> None:
    with entered(run):
        pass
    before = run.status.read_bytes()
    with pytest.raises(UserError), entered(run, resume=True):
        raise UserError("no such thing")
    assert run.status.read_bytes() == before
    with pytest.raises(UserError):
        _diverge(run)
    status = read_json(run.status)
    assert (status["state"], status["error"]) == ("failed", "it has diverged")


def _diverge(run: RunLayout) -> None:
    with entered(run, resume=True) as entry:
        entry.begun = True
        raise UserError("it has diverged")


def test_told_to_stop(run: RunLayout) -> None:
    with pytest.raises(SystemExit), entered(run):
        sys.exit(3)
    assert (_status(run)["state"], _status(run)["error"]) == ("interrupted", "told to stop")


def test_interrupted(run: RunLayout) -> None:
    with pytest.raises(KeyboardInterrupt), entered(run):
        raise KeyboardInterrupt
    status = _status(run)
    assert (status["state"], status["error"]) == ("interrupted", None)
    assert status["ended"] is not None


def _refused(run: RunLayout, message: str) -> None:
    with (
        pytest.raises(UserError, match=re.escape(f"{run.root}: {message}")),
        entered(run, products=["model.nam"]),
    ):
        pytest.fail("entered")


def test_a_second_one_is_kept_out_and_changes_nothing(run: RunLayout) -> None:
    with entered(run):
        before = run.status.read_bytes()
        _refused(run, "another process is at work here; wait for it or choose another hydra.run.dir.")
        assert run.status.read_bytes() == before
    assert _status(run)["state"] == "done"


def test_another_process_is_kept_out(run: RunLayout) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from namexp.errors import UserError\n"
        "from namexp.runs.entry import entered\n"
        "from namexp.runs.layout import RunLayout\n"
        "try:\n"
        "    with entered(RunLayout(Path(sys.argv[1]))): print('entered')\n"
        "except UserError as error: print(error)\n"
    )
    command = [sys.executable, "-c", script, str(run.root)]
    with entered(run):
        kept_out = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert kept_out.stdout.startswith(f"{run.root}: another process is at work here;")
    let_in = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert let_in.stdout == "entered\n"


def test_a_lock_held_elsewhere_is_respected(run: RunLayout) -> None:
    run.root.mkdir(parents=True)
    with run.lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _refused(run, "another process is at work here")
        assert not run.status.exists()
    with entered(run):
        assert _status(run)["state"] == "running"


def test_the_lock_is_let_go_after_a_failure(run: RunLayout) -> None:
    with pytest.raises(RuntimeError), entered(run):
        raise RuntimeError("first")
    with entered(run):
        assert _status(run)["state"] == "running"
    assert _status(run)["state"] == "done"


@pytest.mark.parametrize("result", ["checkpoints/last.ckpt", "model.nam"])
@pytest.mark.parametrize("state", ["done", "failed", None])
def test_a_run_with_results_is_refused(run: RunLayout, result: str, state: str | None) -> None:
    path = run.root / result
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("precious")
    if state:
        write_json(run.status, {"state": state})
    before = run.status.read_bytes() if state else None
    _refused(
        run,
        f"holds a training already (state: {state or 'unknown'}); go on with it by resume={run.root}, or "
        "choose another hydra.run.dir.",
    )
    assert path.read_text() == "precious"
    assert (run.status.read_bytes() if run.status.exists() else None) == before


def test_a_failure_before_the_run_is_recorded(run: RunLayout) -> None:
    record_failure(run, UserError("data.input (= a.wav): no\nsuch file."))
    status = _status(run)
    assert (status["state"], status["error"]) == ("failed", "data.input (= a.wav): no such file.")


def test_a_status_that_is_there_belongs_to_whoever_entered(run: RunLayout) -> None:
    with entered(run):
        record_failure(run, UserError("another process is at work here"))
        assert _status(run)["state"] == "running"
    record_failure(run, UserError("holds a training already"))
    assert _status(run)["state"] == "done"


def test_an_interruption_before_the_run_is_no_failure(run: RunLayout) -> None:
    record_failure(run, KeyboardInterrupt())
    assert not run.status.exists()


def test_a_lock_that_is_a_link_empties_nothing(tmp_path: Path) -> None:
    run = RunLayout(tmp_path / "run")
    run.root.mkdir()
    (tmp_path / "precious").write_text("kept")
    run.lock.symlink_to(tmp_path / "precious")
    with entered(run):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


# --- signals and what killed processes have left -----------------------------------------------------------


def test_what_a_killed_process_left_is_removed_by_the_next_one(run: RunLayout) -> None:
    names = (".comparison.a1b2c3d4.png", "checkpoints/.last.abcd_234.ckpt", "audio/.target.0a1b2c3d.flac")
    folder = run.root / ".model.nam.abcd1234"
    for name in names:
        (run.root / name).parent.mkdir(parents=True, exist_ok=True)
        (run.root / name).write_text("half")
    folder.mkdir()
    (folder / "model.nam").write_text("half")
    (run.root / ".mine.txt").write_text("kept")
    with entered(run):
        assert not any((run.root / name).exists() for name in names)
        assert not folder.exists()
    assert (run.root / ".mine.txt").read_text() == "kept"


@pytest.mark.parametrize("moment", range(6))
def test_the_status_is_true_at_whatever_moment_a_signal_comes(
    run: RunLayout, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """SIGTERM before and after each of the writes of status.json, and a second one while it is written."""
    from namexp.runs import entry as entry_module

    calls = iter(range(100))

    def write(path: Path, content: Any) -> None:
        if next(calls) == moment:
            signal.raise_signal(signal.SIGTERM)
        write_json(path, content)
        if next(calls) == moment:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(entry_module, "write_json", write)
    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with listening():
            if moment < 4:
                with pytest.raises(KeyboardInterrupt), entered(run):
                    pass
            else:  # there are only two writes
                with entered(run):
                    pass
    finally:
        signal.signal(signal.SIGTERM, before)
    assert read_json(run.status)["state"] == ("interrupted" if moment < 2 else "done")

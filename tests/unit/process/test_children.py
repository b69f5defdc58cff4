"""Programs that do not outlive whoever waits for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from namexp.process import children
from namexp.process.children import end_children, output

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process groups on Windows")


def test_what_it_prints_and_how_it_fails(tmp_path: Path) -> None:
    assert output(["sh", "-c", "cat; echo it; printf '\\377'"], 60) == "it\n\N{REPLACEMENT CHARACTER}"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        output(["sh", "-c", "echo why >&2; exit 3"], 60)
    assert (caught.value.returncode, caught.value.stderr) == (3, "why\n")
    with pytest.raises(FileNotFoundError):
        output([str(tmp_path / "nothing")], 60)


def _in_background(pids: Path) -> list[str]:
    """A program that waits for another one, as a compiler's driver does."""
    return ["sh", "-c", f"sleep 100 & echo $! > {pids}.new; mv {pids}.new {pids}; wait"]


def _gone(pids: Path) -> None:
    pid, deadline = int(pids.read_text()), time.monotonic() + 20
    while True:
        try:
            os.kill(pid, 0)
            ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (ProcessLookupError, FileNotFoundError):
            return
        if ended:
            return
        assert time.monotonic() < deadline, "what the program has started is still there"
        time.sleep(0.01)


def _wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_one_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        output(_in_background(tmp_path / "pid"), 1.0)
    _gone(tmp_path / "pid")


def test_those_of_other_threads_are_ended(tmp_path: Path) -> None:
    codes: list[int] = []

    def run() -> None:
        try:
            output(_in_background(tmp_path / "pid"), 100)
        except subprocess.CalledProcessError as error:
            codes.append(error.returncode)

    thread = threading.Thread(target=run)
    thread.start()
    _wait_for(tmp_path / "pid")
    end_children()
    thread.join(20)
    assert codes == [-signal.SIGKILL]
    _gone(tmp_path / "pid")
    assert children._running == set()


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    def interrupt() -> None:
        _wait_for(tmp_path / "pid")
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        output(_in_background(tmp_path / "pid"), 100)
    _gone(tmp_path / "pid")

"""The other processes of a training on this machine: started, watched and ended."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from namexp.errors import UserError
from namexp.process.python import python_environment, python_module
from namexp.ranks import pipe
from namexp.ranks.place import Place

MODULE = "namexp.engine.follow"
SCRATCH = "NAMEXP_SCRATCH"  # the variable that names a folder made for one follower
END_SECONDS = 2.0  # for its own end, before it is killed


class Follower:
    """A process with ``MODULE`` that ends with this one, whatever becomes of this one.

    It holds the other end of a pipe: what it is to do comes through it, and it sees it close. Ctrl-C in a
    terminal does not reach it: the first process decides what that means.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        folder = tempfile.mkdtemp(prefix="namexp-")
        self._folder = Path(folder)
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                python_module(MODULE),
                env={**python_environment(), **place.environment(), "TMPDIR": folder, SCRATCH: folder},
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def _errors(self) -> Path:
        return self._folder / "stderr"

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    @property
    def failed(self) -> bool:
        """Whether it has ended otherwise than it should."""
        return self._process.poll() not in (None, 0)

    def send(self, content: bytes) -> None:
        """Through the pipe that nobody else holds.

        Raises:
            BrokenPipeError: it has ended.
        """
        assert self._process.stdin is not None
        pipe.write(self._process.stdin, content)

    def wait(self, seconds: float) -> None:
        """Give it time to end."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return

    def let_go(self) -> None:
        """Close the pipe: it ends itself and what it runs."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def end(self) -> None:
        """End it, soon or by force: it writes no files that could be spoilt."""
        self.let_go()
        self.wait(END_SECONDS)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def failure(self) -> Exception:
        """What to raise for one that ``failed``."""
        code = self._process.returncode
        who = f"process {self.place.rank} of {self.place.world_size}"
        if code < 0:
            return UserError(
                f"{who} was ended by {signal.Signals(-code).name}, so the training cannot go on; is there "
                "enough memory for so many trainer.devices?"
            )
        told = self._errors.read_text(encoding="utf-8", errors="replace").strip()
        return RuntimeError(f"{who} failed with status {code} and said:\n{told}")


def start_followers(first: Place) -> list[Follower]:
    """One for each further process on the machine of ``first``."""
    places = [replace(first, rank=rank, local_rank=rank) for rank in range(1, first.world_size)]
    followers: list[Follower] = []
    try:
        for place in places:
            followers.append(Follower(place))
    except BaseException:
        end_all(followers)
        raise
    return followers


def end_all(followers: list[Follower]) -> None:
    """End them together."""
    for follower in followers:
        follower.let_go()
    for follower in followers:
        follower.end()


def await_failure(followers: list[Follower], seconds: float) -> Follower | None:
    """The first that fails within ``seconds``, if any."""
    deadline = time.monotonic() + seconds
    while True:
        failed = next((f for f in followers if f.failed), None)
        if failed is not None or not followers or time.monotonic() > deadline:
            return failed
        time.sleep(0.05)

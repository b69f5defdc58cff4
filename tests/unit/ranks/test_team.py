"""Real processes that are started, fail and end."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed import Store

from namexp.errors import UserError
from namexp.ranks import team
from namexp.ranks.shared import rank, total, world_size
from namexp.ranks.team import Team, assembled


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_one_process_is_no_team() -> None:
    with assembled(1, 1, "gloo") as team:
        assert (team.place.world_size, team.followers) == (1, [])
        assert not dist.is_initialized()


def _lead(work: Callable[[Team], None], size: int, pids: list[int]) -> None:
    """Be the first process of a team; ``pids`` get those of the others."""
    with assembled(size, 1, "gloo") as team:
        assert (rank(), world_size()) == (0, size)
        pids += [follower.pid for follower in team.followers]
        work(team)


def _listening() -> set[str]:
    """Ports on which this process listens, as /proc writes them; none where there is no /proc."""
    if not Path("/proc/net/tcp").exists():
        return set()
    own = {os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {words[1] for words in lines if words[3] == "0A" and f"socket:[{words[9]}]" in own}


def test_what_a_process_said_when_it_failed_is_told(tmp_path: Path) -> None:
    def send_no_training(team: Team) -> None:
        team.hand_over(("this", "is", "no", "training"))
        total(torch.ones(3))  # the other one will not come

    pids: list[int] = []
    with pytest.raises(
        RuntimeError, match=r"process 1 of 2 failed with status 1 and said:\n(.*)Traceback"
    ) as caught:
        _lead(send_no_training, 2, pids)
    assert "ValueError: too many values to unpack" in str(caught.value)
    _nothing_is_left(pids, 1, tmp_path)


def test_a_process_that_was_killed_is_told_in_one_line(tmp_path: Path) -> None:
    def kill(team: Team) -> None:
        os.kill(team.followers[0].pid, signal.SIGKILL)
        total(torch.ones(3))

    pids: list[int] = []
    with pytest.raises(UserError, match=r"process 1 of 2 was ended by SIGKILL.* memory") as caught:
        _lead(kill, 2, pids)
    assert "\n" not in str(caught.value)
    _nothing_is_left(pids, 1, tmp_path)


def test_an_error_of_the_first_goes_on_and_ends_the_others(tmp_path: Path) -> None:
    def fail(team: Team) -> None:
        raise UserError("mine")

    pids: list[int] = []
    with pytest.raises(UserError, match=r"^mine$"):
        _lead(fail, 3, pids)
    _nothing_is_left(pids, 2, tmp_path)


def test_nobody_else_can_meet_them_and_after_disbanding_nobody_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """While the others start there is no port to find, and only the owner may enter where they meet."""
    seen: list[tuple[set[str], int, list[str]]] = []
    await_ready = team._await_ready

    def look(gathered: Team, store: Store) -> None:
        assert gathered.place.meeting is not None
        meeting = Path(gathered.place.meeting)
        await_ready(gathered, store)
        seen.append((_listening(), meeting.stat().st_mode & 0o777, os.listdir(meeting)))

    def disband(gathered: Team) -> None:
        gathered.disband()
        assert world_size() == 1
        assert total(torch.ones(3)).tolist() == [1.0, 1.0, 1.0]

    monkeypatch.setattr(team, "_await_ready", look)
    before, pids = _listening(), list[int]()
    _lead(disband, 2, pids)
    assert seen == [(before, 0o700, ["store"])]
    _nothing_is_left(pids, 1, tmp_path)


def _nothing_is_left(pids: list[int], count: int, folder: Path) -> None:
    gc.collect()  # an open pipe would be a ResourceWarning
    assert len(set(pids)) == count
    assert not dist.is_initialized()
    assert list(folder.iterdir()) == []
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

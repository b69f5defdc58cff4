"""Gathering the processes of a training: they meet in a store, then form torch's process group.

The first process starts the others itself, or finds that torchrun or srun has started all. Its own meet in
a file that nobody but its owner may read, and get what they are to do through their pipes. gloo connects
them over the loopback, where any user of the machine may knock: tensors go there and nothing that would be
unpickled. Those of torchrun and srun meet at a TCP port: their network must be trusted.

Keys of the store: ``ready/RANK`` (that process is there), ``job`` (what the first one wants: ``train
BACKEND`` or ``stop``), ``gone/RANK`` (that process has read ``stop``).
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import FileStore, PrefixStore, Store, TCPStore

from namexp.errors import UserError, one_line
from namexp.ranks.followers import Follower, await_failure, end_all, start_followers
from namexp.ranks.pipe import Pipe
from namexp.ranks.place import ALONE, Place, launched_place
from namexp.ranks.shared import world_size

log = logging.getLogger(__name__)

TIMEOUT = timedelta(minutes=30)  # of one exchange: the others wait while the first one validates
START_SECONDS = 600.0  # until all processes are there
END_SECONDS = 60.0  # until the others have ended when the training is over
NOTICE_SECONDS = 5.0  # until a process that broke an exchange has ended
GOODBYE_SECONDS = 30.0  # others may start that much later


class Team:
    """The processes that train together, as the first one sees them."""

    def __init__(self, place: Place, followers: list[Follower] | None = None) -> None:
        self.place = place
        self.followers = followers or []

    def hand_over(self, content: Any) -> None:
        """Give the others an object, which each of them gets by ``taken_over``.

        Raises:
            BrokenPipeError: one of them has ended.
        """
        if self.followers:
            pickled = pickle.dumps(content)
            for follower in self.followers:
                follower.send(pickled)
        elif world_size() > 1:  # torchrun or srun has connected them
            dist.broadcast_object_list([content], src=0)

    def disband(self) -> None:
        """End the others and be alone from now on: nothing waits for them any more."""
        end_all(self.followers)
        self.followers = []
        leave(broken=True)
        if self.place.meeting is not None:
            shutil.rmtree(self.place.meeting, ignore_errors=True)


def taken_over(pipe: Pipe | None) -> Any:
    """What the first process hands over; ``pipe``: None where torchrun or srun has started this process."""
    if pipe is not None:
        return pickle.loads(pipe.read())
    content: list[Any] = [None]
    dist.broadcast_object_list(content, src=0)
    return content[0]


@contextmanager
def assembled(devices: int, num_nodes: int, backend: str) -> Iterator[Team]:
    """All processes of a training, which have formed their group; only for the first one.

    Args:
        devices: on each machine.
        num_nodes: machines.
        backend: of the group, gloo or nccl.

    Raises:
        UserError: another process has been ended from outside, or did not come.
        RuntimeError: another process has failed; with what it said.
    """
    if devices * num_nodes == 1:
        yield Team(ALONE)
        return
    place, store, followers = _gather(devices)
    team = Team(place, followers)
    excepthook = sys.excepthook  # torch puts one around it that it never takes away
    guard = threading.Thread(target=_abort_without, args=(team,), daemon=True, name="followers")
    try:
        _await_ready(team, store)
        store.set("job", f"train {backend}")
        join_group(place, store, backend)
        guard.start()
        yield team
        for follower in team.followers:
            follower.wait(END_SECONDS)
            if follower.failed:
                log.warning("when the training was over, %s", one_line(follower.failure()))
        leave()
    except (RuntimeError, BrokenPipeError) as error:  # what is said when a process is gone
        failed = await_failure(team.followers, NOTICE_SECONDS)
        if failed is not None:
            raise failed.failure() from error
        raise
    finally:
        team.disband()
        sys.excepthook = excepthook


def _gather(devices: int) -> tuple[Place, Store, list[Follower]]:
    launched = launched_place()
    if launched is not None:
        return launched, launched_store(launched), []
    # made so that only its owner may enter it
    place = Place(0, devices, 0, "127.0.0.1", 0, tempfile.mkdtemp(prefix="namexp-"))
    try:
        _stay_on_this_machine()
        return place, _store(place), start_followers(place)
    except BaseException:
        shutil.rmtree(place.meeting or "", ignore_errors=True)
        raise


def _stay_on_this_machine() -> None:
    """Let gloo talk over the loopback: the machine's own name need not resolve."""
    names = {name for _, name in socket.if_nameindex()} if sys.platform != "win32" else set()
    for name in ("lo", "lo0"):
        if name in names:
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def _await_ready(team: Team, store: Store) -> None:
    """Wait for the others without losing sight of those that end."""
    deadline = time.monotonic() + START_SECONDS
    for rank in range(1, team.place.world_size):
        while not store.check([f"ready/{rank}"]):
            failed = await_failure(team.followers, 0.0)
            if failed is not None:
                raise failed.failure()
            if time.monotonic() > deadline:
                raise UserError(
                    f"process {rank} of {team.place.world_size} did not come to {team.place.address}:"
                    f"{team.place.port} within {START_SECONDS:g} s; were all of them started?"
                )
            time.sleep(0.02)


def _abort_without(team: Team) -> None:
    """Break exchanges that wait for a process that has ended: on GPUs nothing else would."""
    while team.followers:
        failed = await_failure(team.followers, 1.0)
        if failed is not None:
            time.sleep(2 * NOTICE_SECONDS)  # gloo tells by itself
            if team.followers and dist.is_initialized():
                _abort()
            return
        if not any(follower.running for follower in team.followers):
            return


# --- the group --------------------------------------------------------------------------------------


def join_group(place: Place, store: Store, backend: str) -> None:
    """Become a member of torch's process group."""
    device = torch.device("cuda", place.local_rank) if backend == "nccl" else None
    if device is not None:
        torch.cuda.set_device(device)  # Python objects travel through the current one
    dist.init_process_group(
        backend,
        store=PrefixStore("group", store),
        rank=place.rank,
        world_size=place.world_size,
        timeout=TIMEOUT,
        device_id=device,
    )


def _abort() -> None:
    """Break whatever exchange is under way."""
    world = dist.group.WORLD
    assert world is not None, "there is a group"
    world.abort()


def leave(*, broken: bool = False) -> None:
    """Leave the process group, if there is one; ``broken``: others may be gone already."""
    if not (dist.is_available() and dist.is_initialized()):
        return
    with contextlib.suppress(RuntimeError) if broken else contextlib.nullcontext():
        if broken and dist.get_backend() == "nccl":
            _abort()
        dist.destroy_process_group()


# --- processes that were started by others ------------------------------------------------------------


def _store(place: Place) -> Store:
    if place.meeting is None:
        return launched_store(place)
    return FileStore(str(Path(place.meeting, "store")))


@cache
def launched_store(place: Place) -> Store:
    """Where they meet: torchrun keeps a store itself, else the first process does."""
    hosts = place.rank == 0 and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True"
    return TCPStore(
        place.address, place.port, is_master=hosts, wait_for_workers=False,
        timeout=timedelta(seconds=START_SECONDS),
    )  # fmt: skip


def release_launched(place: Place) -> None:
    """Called by the first process at its end: tell the others to end too, if they still wait."""
    with contextlib.suppress(RuntimeError):  # they are gone already
        store = launched_store(place)
        if not store.check(["job"]):
            store.set("job", "stop")
            others = [f"gone/{rank}" for rank in range(1, place.world_size)]
            store.wait(others, timedelta(seconds=GOODBYE_SECONDS))


@contextmanager
def joined(place: Place) -> Iterator[bool]:
    """Take part as another than the first process.

    Yields:
        Whether there is a training; the group has been formed then.
    """
    assert place.rank > 0, "the first process assembles the others"
    store = _store(place)
    store.set(f"ready/{place.rank}", "")
    store.wait(["job"], TIMEOUT)
    word, *backend = store.get("job").decode().split()
    if word == "stop":
        store.set(f"gone/{place.rank}", "")
        yield False
        return
    join_group(place, store, backend[0])
    yield True
    leave()

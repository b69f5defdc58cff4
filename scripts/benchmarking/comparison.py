"""Both programs side by side: the same weights and batches, turns, and the columns of their times."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarking.figures import ratio, seconds
from benchmarking.workers import OURS, PEER, PLAIN, Worker, start

Samples = dict[str, list[dict[str, float]]]  # by side: wall and cpu of every turn


def add_options(parser: argparse.ArgumentParser, models: Mapping[str, str], *, rounds: int) -> None:
    """The options of every comparison."""
    parser.add_argument(
        "--peer-python", metavar="PATH", help="of an environment with the peer (default: one is made)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    parser.add_argument(
        "--models", type=_subset(models), default=list(models), metavar=",".join(models), help="default: all"
    )
    parser.add_argument(
        "--rounds", type=count, default=rounds, help=f"turns of each side (default: {rounds})"
    )
    parser.add_argument("--threads", choices=("one", "all", "both"), default="both")
    parser.add_argument(
        "--plain",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also namexp without its fast kernels (NAMEXP_KERNELS=off)",
    )


def count(text: str) -> int:
    """A number of things, as an argument."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _subset(known: Mapping[str, str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        given = text.split(",")
        if unknown := [name for name in given if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return given

    return names


def thread_settings(given: argparse.Namespace) -> list[str]:
    """``one`` before ``all``: threads that are no longer used still spin for a while."""
    return ["one", "all"] if given.threads == "both" else [given.threads]


@contextmanager
def compared(
    given: argparse.Namespace,
    peer_python: str,
    model: str,
    *,
    device: str = "cpu",
    batches: int = 0,
    audio_seconds: float = 0.0,
) -> Iterator[dict[str, Worker]]:
    """A fresh worker for every side, which has loaded what all of them begin with.

    Args:
        given: says whether the plain side takes part.
        peer_python: of the peer's environment.
        model: a name that both sides know.
        device: cpu or cuda.
        batches: to train on.
        audio_seconds: to play, where there are no batches.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        handover = str(Path(folder, "handover.npz"))
        with start(OURS, peer_python) as first:  # of its own: this takes memory that is measured later
            first.ask("prepare", model=model, handover=handover, batches=batches, seconds=audio_seconds)
        sides = [OURS, PEER, *([PLAIN] if given.plain else [])]
        workers = {side: stack.enter_context(start(side, peer_python)) for side in sides}
        for worker in workers.values():
            worker.ask("load", model=model, handover=handover, device=device)
        yield workers


def take_turns(workers: Mapping[str, Worker], rounds: int, what: str, **arguments: Any) -> Samples:
    """Ask every side in turn, after one request that is not counted."""
    samples: Samples = {side: [] for side in workers}
    for worker in workers.values():
        worker.ask(what, **arguments)
    for i in range(rounds):
        for side in list(workers)[:: 1 if i % 2 == 0 else -1]:  # a drift of the machine favours nobody
            answer = workers[side].ask(what, **arguments)
            samples[side].append({"wall": answer["wall"], "cpu": answer["cpu"]})
    return samples


def head(given: argparse.Namespace) -> list[str]:
    """The columns of ``cells``."""
    plain = ["namexp, kernels off", "kernels faster by"] if given.plain else []
    return ["threads", PEER, "namexp", "faster by", *plain]


def cells(samples: Samples, threads: str, show: Callable[[list[float]], str] = seconds) -> list[str]:
    """One thread is compared by the time of the process, all of them by the clock on the wall."""
    key = "cpu" if threads == "one" else "wall"
    taken = {side: [turn[key] for turn in turns] for side, turns in samples.items()}
    row = [threads, show(taken[PEER]), show(taken[OURS]), str(ratio(taken[PEER], taken[OURS]))]
    if PLAIN in taken:
        row += [show(taken[PLAIN]), str(ratio(taken[PLAIN], taken[OURS]))]
    return row


def how_it_was_measured(given: argparse.Namespace) -> str:
    """What a reader of the tables must know."""
    return (
        f"Medians of {given.rounds} rounds; ratios are those of each round: median (least..most). "
        "One thread: time of the process; all threads: wall clock. "
        "Memory: by how much the peak of a fresh process grew."
    )

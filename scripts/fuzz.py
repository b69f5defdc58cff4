"""Damage files of every kind on purpose, thousands of them: each is refused in one line, or taken.

``python scripts/fuzz.py [--seed N] [--count N] [--kinds nam,config]``: exit 1 where anything ends in a
traceback, takes more than 5 s or 1 GB, or is taken although it is damaged. Input I of kind K is the same at
every call: ``--kinds K --first I --count 1`` shows it again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent))

BATCH = 250  # inputs in one process
SHOWN = 3  # findings of one sort in full


class Result(NamedTuple):
    """Of one input."""

    kind: str
    index: int
    outcome: str
    what: str
    told: str


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000, help="inputs in all, shared out among the kinds")
    parser.add_argument("--kinds", help="names with commas between them (default: all)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each kind")
    return parser.parse_args()


def fuzz(kind: str, seed: int, first: int, count: int, sound: Path) -> Iterator[Result]:
    """Examine inputs ``first`` and so on of one kind, in this process."""
    from fuzzing.guard import examined
    from fuzzing.kinds import KINDS

    for index in range(first, first + count):
        with tempfile.TemporaryDirectory() as scratch:
            own = KINDS[kind](sound, Path(scratch))
            draw = random.Random(f"{seed} {kind} {index}")
            outcome, found = examined(lambda own=own, draw=draw: own.examine(draw))
        yield Result(kind, index, outcome, *(found or ("", "")))


def _in_processes(kind: str, seed: int, first: int, count: int, sound: Path) -> Iterator[Result]:
    """The same in processes of some inputs each: one that takes its process with it is a finding too."""
    at, last = first, first + count
    while at < last:
        batch = min(BATCH, last - at)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            with os.fdopen(write, "w", encoding="utf-8") as told:
                for result in fuzz(kind, seed, at, batch, sound):
                    told.write(f"{tuple(result)!a}\n")
                    told.flush()
            os._exit(0)
        os.close(write)
        with os.fdopen(read, encoding="utf-8") as lines:
            for line in lines:
                result = Result(*eval(line))  # our own child's: a tuple of texts and numbers
                at = result.index + 1
                yield result
        _, status = os.waitpid(child, 0)
        if status:
            yield Result(kind, at, "died", "died", f"the process ended with status {status}")
            at += 1


def main() -> int:
    """Print the counts by kind, and what was found."""
    arguments = _arguments()
    import torch
    from fuzzing.kinds import KINDS
    from fuzzing.sound import make_all

    torch.set_num_threads(1)
    names = arguments.kinds.split(",") if arguments.kinds else list(KINDS)
    total = sum(KINDS[name].share for name in names)
    findings: list[Result] = []
    with tempfile.TemporaryDirectory() as folder:
        make_all(Path(folder))
        print(f"{'kind':12}{'inputs':>9}{'refused':>9}{'taken':>9}{'findings':>10}")
        for name in names:
            share = max(1, round(arguments.count * KINDS[name].share / total))
            counts: Counter[str] = Counter()
            for result in _in_processes(name, arguments.seed, arguments.first, share, Path(folder)):
                counts[result.outcome if not result.what else "findings"] += 1
                findings += [result] if result.what else []
            print(
                f"{name:12}{counts.total():9}{counts['refused']:9}{counts['taken']:9}{counts['findings']:10}",
                flush=True,
            )
    _show(findings)
    return 1 if findings else 0


def _show(findings: list[Result]) -> None:
    sorts: dict[tuple[str, str, str], list[Result]] = {}
    for result in findings:
        sorts.setdefault((result.kind, result.what, result.told.splitlines()[-1][:80]), []).append(result)
    for (kind, what, _), results in sorts.items():
        print(f"\n{kind}: {what}, {len(results)} times")
        for result in results[:SHOWN]:
            print(f"--kinds {kind} --first {result.index}: {result.told}")


if __name__ == "__main__":
    sys.exit(main())

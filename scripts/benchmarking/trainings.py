"""Whole trainings, timed from outside: seconds by program and number of epochs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarking.commands import Command
from benchmarking.figures import ratio, seconds, table
from benchmarking.workers import OURS, PEER, environment
from namexp.errors import UserError


class Trainings:
    """Runs commands in new folders and keeps how long they took."""

    def __init__(self, folder: Path, *, one_thread: bool) -> None:
        """Begin without any.

        Args:
            folder: takes what the trainings write.
            one_thread: train with one thread and count the time of the processes, not of the clock.
        """
        self._folder, self._one_thread = folder, one_thread
        self.seconds: dict[str, dict[int, list[float]]] = {OURS: {}, PEER: {}}

    def run(self, program: str, epochs: int, command: Command) -> None:
        """Train for so many epochs.

        Raises:
            UserError: it failed; what it said is on stderr.
        """
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        variables = {**environment(program), "MPLBACKEND": "Agg"}
        if self._one_thread:
            variables["OMP_NUM_THREADS"] = "1"
        begun = self._now()
        done = subprocess.run(
            command(folder, epochs),
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        taken = self._now() - begun
        if done.returncode or not list(folder.rglob("model.nam")):
            print(f"--- {program} said:\n{done.stdout[-5000:]}\n---", file=sys.stderr)
            raise UserError(f"{program}: the training ended with status {done.returncode} and no model.nam.")
        self.seconds[program].setdefault(epochs, []).append(taken)

    def _now(self) -> float:
        if self._one_thread:
            times = os.times()
            return times.children_user + times.children_system
        return time.perf_counter()

    def per_epoch(self, program: str) -> list[float]:
        """Seconds of one epoch in each round: what more epochs take longer, start and end left out."""
        few, many = sorted(self.seconds[program])
        rounds = zip(self.seconds[program][few], self.seconds[program][many], strict=True)
        return [(long - short) / (many - few) for short, long in rounds]

    def table(self) -> str:
        """One epoch, and the commands as a whole."""
        rows = [_row("one epoch", self.per_epoch(PEER), self.per_epoch(OURS))]
        for epochs in sorted(self.seconds[OURS]):
            name = f"the whole command, {epochs} epoch{'s' if epochs > 1 else ''}"
            rows.append(_row(name, self.seconds[PEER][epochs], self.seconds[OURS][epochs]))
        threads = "one thread" if self._one_thread else "all threads"
        return table([f"A2 pack by command, {threads}", PEER, "namexp", "faster by"], rows)


def _row(name: str, peers: list[float], ours: list[float]) -> list[str]:
    if min(*peers, *ours) <= 0:  # a difference of two noisy times
        return [name, *["too noisy"] * 3]
    return [name, seconds(peers), seconds(ours), str(ratio(peers, ours))]

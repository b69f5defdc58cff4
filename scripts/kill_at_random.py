"""Kill runs and sweeps at random moments, go on with them, and compare with undisturbed ones.

    python scripts/kill_at_random.py --kills 40 --seed 0

Tiny trainings of an embedded recording: a single run, a sweep, a sweep by two workers
(hydra/launcher=joblib), and a run by two processes. Each is killed some times, by SIGTERM or SIGKILL, at any
moment from its start to its end, most often when it is at work; what goes on with it (resume=RUN,
resume=auto, namexp.sweep resume) is killed too. Some begin without compiled kernels, so that compilers are
killed. After SIGTERM the status must be true and nobody may be left; at the end everything must be equal to
the bit, marked as done, and without temporary files. The exit status is 0 if so. Some minutes for ten kills.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from same_numbers import KINDS, TWO_PROCESSES, compare

from namexp.atomic import LEFTOVER
from namexp.runs.entry import is_held
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.runs.states import DONE, INTERRUPTED, RUNNING

SETTINGS = [
    "data.stop_seconds=5", "data.validation_seconds=1.0", "data.ny=1100", "data.batch_size=8",
    "optimizer.lr=0.01", "model.head_scale=0.1", "callbacks.progress=false", "trainer.max_epochs=4",
    "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2,4,8], activation: LeakyReLU}]",
]  # fmt: skip
SWEPT = ["-m", "export.container_max_values=uniform,[0.3,1.0]", "seed=0,1"]
CASES = {
    "run": [],
    "two processes": TWO_PROCESSES,
    "sweep": SWEPT,
    "workers": [*SWEPT, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
}
AT_MOST = 4  # kills of one run or sweep, and of what goes on with it
AFTER_SECONDS = 30.0  # until the workers of a killed process are gone
WITHOUT_KERNELS = 0.3  # of the cases
AT_WORK = 0.75  # of the kills


@dataclass
class Trial:
    """One run or sweep that is disturbed."""

    case: str
    root: Path

    @property
    def is_sweep(self) -> bool:
        """Whether it has jobs."""
        return "-m" in CASES[self.case]

    def command(self, draw: random.Random) -> list[str]:
        """What begins it or goes on with it."""
        if self.is_sweep:
            if (self.root / "sweep.json").exists():
                return ["namexp.sweep", "resume", str(self.root)]
            return [
                "namexp.train",
                *KINDS["packed"],
                *SETTINGS,
                *CASES[self.case],
                f"hydra.sweep.dir={self.root}",
            ]
        begun = (self.root / "config.yaml").exists() and self.states() != [DONE]
        if begun and draw.random() < 0.5:
            return ["namexp.train", f"resume={self.root}"]
        return [
            "namexp.train", *KINDS["packed"], *SETTINGS, *CASES[self.case], f"hydra.run.dir={self.root}",
            "resume=auto",
        ]  # fmt: skip

    def runs(self) -> list[RunLayout]:
        """Run directories that there are."""
        roots = [self.root / str(i) for i in range(4)] if self.is_sweep else [self.root]
        return [RunLayout(root) for root in roots if RunLayout(root).status.exists()]

    def states(self) -> list[str]:
        """What their status says."""
        return [str(status["state"]) for status in self.statuses().values()]

    def statuses(self) -> dict[Path, dict[str, Any]]:
        """What status.json says of each run."""
        return {run.root: read_json(run.status) for run in self.runs()}


class Disturber:
    """Starts, kills, looks."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.draw = random.Random(seed)
        self.kills: Counter[str] = Counter()
        self.faults: list[str] = []
        self.seconds: dict[str, tuple[float, float]] = {}  # until it is at work, and at work

    def start(self, words: list[str], cache: Path) -> subprocess.Popen[bytes]:
        """A command in a session of its own; what it says goes to a file."""
        environment = {
            **os.environ, "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "XDG_CACHE_HOME": str(cache),
            "TMPDIR": str(self.folder / "tmp"),
        }  # fmt: skip
        with (self.folder / "said.txt").open("ab") as said:
            said.write(f"\n$ {' '.join(words)}\n".encode())
            said.flush()
            return subprocess.Popen(
                [sys.executable, "-m", *words], cwd=self.folder, env=environment, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip

    def undisturbed(self, case: str) -> Path:
        """Of each case one, for comparison; it also says how long it takes."""
        trial = Trial(case, self.folder / f"whole {case}")
        process = self.start(trial.command(self.draw), self.folder / "cache")
        began = time.monotonic()
        _wait_for_status(trial, process)
        entered = time.monotonic()
        if process.wait():
            sys.exit(f"{case}: fails undisturbed; see {self.folder / 'said.txt'}")
        self.seconds[case] = entered - began, time.monotonic() - entered
        return trial.root

    def disturb(self, trial: Trial, most: int) -> None:
        """Kill it some times, then let it end, and compare."""
        cache = self.folder / "cache"
        if self.draw.random() < WITHOUT_KERNELS:
            cache = trial.root.parent / f"cache of {trial.root.name}"
        times = self.draw.randint(1, min(most, AT_MOST))
        for _ in range(times):
            self._kill_once(trial, cache)
        for _ in range(3):  # a sweep leaves alone what others are still at
            status = self.start(trial.command(self.draw), cache).wait()
            if status == 0 and set(trial.states()) == {DONE}:
                break
            self._await_nobody(trial)
        self._compare(trial, status)

    def _kill_once(self, trial: Trial, cache: Path) -> None:
        number = self.draw.choice([signal.SIGTERM, signal.SIGKILL])
        words, before = trial.command(self.draw), trial.statuses()
        process = self.start(words, cache)
        starting, working = self.seconds[trial.case]
        if self.draw.random() < AT_WORK:
            _wait_for_status(trial, process)
            starting = 0.0
        try:
            process.wait(self.draw.uniform(0.0, starting + working))
            self.kills["too late"] += 1
            return
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        status = process.wait()
        self.kills[f"{trial.case}, {words[0]}{' resume' * ('resume' in words)}, {number.name}"] += 1
        print(f"{trial.root.name}: {number.name} -> {status} {trial.states()}", flush=True)
        left = self._await_nobody(trial)
        if number == signal.SIGTERM:
            if status not in (130, 0, -signal.SIGTERM):  # the last where Python itself begins or ends
                self._fault(trial, f"ended by {status} after SIGTERM")
            # what SIGKILL left before this process came to it is not its fault
            own = [status["state"] for root, status in trial.statuses().items() if status != before.get(root)]
            if set(own) - {DONE, INTERRUPTED}:
                self._fault(trial, f"says {trial.states()} after SIGTERM")
            if left > 5.0:
                self._fault(trial, f"somebody was left for {left:.0f} s after SIGTERM")

    def _await_nobody(self, trial: Trial) -> float:
        """Seconds until no process of the trial is left."""
        began = time.monotonic()
        while any(is_held(run) for run in trial.runs()) or _at_work(trial.root):
            if time.monotonic() - began > AFTER_SECONDS:
                self._fault(trial, f"somebody is left after {AFTER_SECONDS:g} s: {_at_work(trial.root)}")
                break
            time.sleep(0.1)
        return time.monotonic() - began

    def _compare(self, trial: Trial, status: int) -> None:
        if status or set(trial.states()) != {DONE}:
            self._fault(trial, f"ends with {status} and says {trial.states()}")
            return
        whole = self.folder / f"whole {trial.case}"
        for found in compare(whole, trial.root):
            if ".reused_from:" not in found:  # which of two jobs came first
                self._fault(trial, found)
        expected = {path.relative_to(whole) for path in whole.rglob("*")}
        for path in (*trial.root.rglob("*"), *self.folder.rglob("kernels/*")):
            is_more = path.is_relative_to(trial.root) and path.relative_to(trial.root) not in expected
            if LEFTOVER.fullmatch(path.name) or (is_more and path.name not in ("multirun.yaml", "train.log")):
                self._fault(trial, f"{path} is left over")

    def _fault(self, trial: Trial, what: str) -> None:
        self.faults.append(f"{trial.root.name}: {what}")
        print(f"FAULT {self.faults[-1]}", flush=True)


def _wait_for_status(trial: Trial, process: subprocess.Popen[bytes]) -> None:
    """Until one of its runs says that it is running."""
    while process.poll() is None and RUNNING not in trial.states():
        time.sleep(0.02)


def _at_work(root: Path) -> list[str]:
    """Command lines of processes that name the directory; none where there is no /proc."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(root) in line:
            found.append(line[:200])
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--folder", type=Path, help="is kept; else a temporary one")
    arguments = parser.parse_args()
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="namexp-kills-"))).resolve()
    (folder / "tmp").mkdir(parents=True)
    disturber = Disturber(folder, arguments.seed)
    for case in arguments.cases:
        disturber.undisturbed(case)
        print(f"{case}: {sum(disturber.seconds[case]):.1f} s undisturbed", flush=True)
    number = 0
    while (killed := sum(n for what, n in disturber.kills.items() if what != "too late")) < arguments.kills:
        case = arguments.cases[number % len(arguments.cases)]
        trial = Trial(case, folder / f"{number} {case}")
        disturber.disturb(trial, arguments.kills - killed)
        number += 1
    left = [path.name for path in (folder / "tmp").glob("namexp-*")]
    print("\n".join(f"{n:4d}  {what}" for what, n in sorted(disturber.kills.items())))
    print(f"{number} runs and sweeps, {len(disturber.faults)} faults; in the temporary folder: {left}")
    if not disturber.faults and arguments.folder is None:
        shutil.rmtree(folder)
    sys.exit(bool(disturber.faults))


if __name__ == "__main__":
    main()

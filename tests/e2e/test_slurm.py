"""A sweep on a real Slurm (``scripts/slurm_node.sh`` makes one): preempted, out of time, killed, resumed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from namexp.runs.files import read_json
from namexp.sweeps.directory import SweepLayout
from namexp.tasks.capture.layout import CaptureLayout
from tests.e2e.conftest import num_rows, wait_until
from tests.e2e.test_resume import _equal, _state
from tests.e2e.test_sweep import SETTINGS

pytest.importorskip("submitit", reason="hydra-submitit-launcher is not installed")
MISSING = [
    name for name in ("sinfo", "sbatch", "squeue", "scontrol", "scancel") if shutil.which(name) is None
]
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(MISSING), reason=f"no Slurm here: {', '.join(MISSING)} not on PATH"),
]

Run = Callable[..., subprocess.CompletedProcess[str]]
LAUNCHER = ["hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=2"]
EPOCHS = 320  # a minute or two: Slurm waits half a minute between telling a job to go and killing it
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(autouse=True)
def _a_node_is_up() -> Iterator[None]:
    """Without a node that works nothing would ever start; afterwards nothing may be left in the queue."""
    for _ in range(60):  # after a job that was killed a node needs a moment
        states = {state.rstrip("*~") for state in _slurm("sinfo", "--noheader", "--format=%t").split()}
        if "idle" in states or not states & {"comp", "alloc", "mix"}:
            break
        time.sleep(1)
    if "idle" not in states:
        pytest.skip(f"no Slurm node is idle: sinfo says {', '.join(sorted(states)) or 'nothing'}")
    yield
    _slurm("scancel", "--name=train")


def _slurm(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout


def _settings(pair: tuple[Path, Path], epochs: int) -> list[str]:
    return [
        *SETTINGS, "model.channels=[2,4]", f"trainer.max_epochs={epochs}", "trainer.log_every_n_steps=1",
        f"data.input={pair[0]}", f"data.target={pair[1]}",
    ]  # fmt: skip


def _start(root: Path, settings: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "namexp.train", "-m", *LAUNCHER, "hydra.launcher.name=train", *settings,
         f"hydra.sweep.dir={root}"],
        cwd=root.parent, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _id(run: CaptureLayout) -> str:
    """Slurm's number of the job that works there."""
    job = run.root.name
    for line in _slurm("squeue", "--noheader", "--array", "--name=train", "--format=%i").splitlines():
        if line.strip().endswith(f"_{job}"):
            return line.strip()
    raise AssertionError(f"job {job} is not in the queue")


def _preempt(job: str) -> None:
    """By a job of a more important partition, where there is one; else as that would end."""
    if "urgent" not in _slurm("sinfo", "--noheader", "--format=%R").split():
        subprocess.run(["scontrol", "requeue", job], check=True, timeout=60)
        return
    command = ["sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 2"]
    subprocess.run(command, check=True, timeout=60)


def _lone(command: Run, root: Path, settings: list[str], seed: int) -> CaptureLayout:
    done = command("train", *settings, f"seed={seed}", f"hydra.run.dir={root}")
    assert done.returncode == 0, done.stderr
    return CaptureLayout(root)


def test_a_sweep_goes_on_after_preemption_and_after_a_kill(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    root = tmp_path / "sweep"
    sweep, settings = SweepLayout(root), _settings(pair, EPOCHS)
    process = _start(root, [*settings, "seed=0,1"])
    killed, preempted = (CaptureLayout(sweep.run(i).root) for i in range(2))
    wait_until(lambda: num_rows(killed.metrics) > 8, process)
    os.kill(read_json(killed.status)["pid"], signal.SIGKILL)  # as a node that fails: it cannot say a word
    wait_until(lambda: num_rows(preempted.metrics) > 24, process)
    _preempt(_id(preempted))
    said, _ = process.communicate(timeout=600)

    assert process.returncode == 1
    assert "sacct" not in said
    assert "slurm: 2 running" in said or "slurm: 1 running" in said
    assert "1 done" in said
    assert read_json(preempted.status)["state"] == "done"
    assert len(read_json(preempted.status)["resumed"]) == 1, "it was queued again and went on"
    status = command("sweep", "status", root)
    assert status.returncode == 1
    assert status.stdout.splitlines()[-1] in ("1 done, 1 cut off", "1 done, 1 interrupted")

    resumed = command("sweep", "resume", root, environment=dict(os.environ))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert command("sweep", "status", root).stdout.splitlines()[-1] == "2 done"
    for seed, run in enumerate((killed, preempted)):
        _equal(_state(run), _state(_lone(command, tmp_path / f"lone{seed}", settings, seed)))


def test_a_job_that_runs_out_of_time_is_queued_again_and_ends_as_if_it_had_had_enough(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    root, settings = tmp_path / "sweep", _settings(pair, EPOCHS)
    # Slurm tells a job up to a minute too early: some stays are over before anything was learned
    limits = {"timeout_min": 1, "signal_delay_s": 5, "max_num_timeout": 40}
    stay = [f"hydra.launcher.{name}={value}" for name, value in limits.items()]
    process = _start(root, [*settings, *stay, "seed=0"])
    said, _ = process.communicate(timeout=3600)
    assert process.returncode == 0, said
    run = CaptureLayout(SweepLayout(root).run(0).root)
    status = read_json(run.status)
    assert status["state"] == "done"
    assert len(status["resumed"]) >= 1, "or the stay was long enough"
    logs = "".join(path.read_text() for path in (root / ".submitit").rglob("*.err"))
    assert "timed-out" in logs
    _equal(_state(run), _state(_lone(command, tmp_path / "lone", settings, 0)))


def test_a_job_that_can_never_start_is_named(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    cpus = max(map(int, _slurm("sinfo", "--noheader", "--format=%c").replace("+", "").split()))
    more = f"hydra.launcher.cpus_per_task={cpus + 2}"
    process = _start(tmp_path / "sweep", [*_settings(pair, 1), "seed=0,1", more])
    assert process.stdout is not None
    said = ""
    try:
        for line in process.stdout:  # it waits on; without the warning the test would wait as long
            said += line
            if "can never start" in line or "refused" in line:
                break
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert "slurm: 2 pending (PartitionConfig 2)" in said
    assert "_0, " in said
    assert "can never start (PartitionConfig)" in said
    assert "sacct" not in said

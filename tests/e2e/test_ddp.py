"""Two processes train as one: real commands, real processes, gloo on the CPU."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed import distributed_c10d

from namexp.engine.checkpoint import load_checkpoint
from namexp.nam.model import read_nam
from namexp.ranks import followers
from namexp.runs.metrics import read_metrics
from tests.e2e.conftest import CACHE, wait_until
from tests.e2e.test_resume import _run
from tests.e2e.test_training import KINDS, SMALL

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]
DDP = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
EVERY_TERM = [
    "loss=a2", "loss.mrstft_weight=0.01", "loss.esr_weight=0.1", "loss.dc_weight=0.1",
    "loss.pre_emphasis_mse_weight=0.5", "loss.pre_emphasis_mrstft_weight=0.001",
]  # fmt: skip
# the A2 loss, with MRSTFT on, on the document's own pack; and the others on a tiny network
CASES: dict[str, list[str]] = {
    "packed": ["model=packed_wavenet_small", "loss=a2", "data.ny=1100", "data.batch_size=4"],
    "packed, SOAP": [
        *KINDS["packed"], *SMALL, *EVERY_TERM, "optimizer=soap", "scheduler=warmup_cosine",
    ],
    "packed, every term, clipped": [
        *KINDS["packed"], *SMALL, *EVERY_TERM, "trainer.gradient_clip_norm=0.01",
    ],
    "wavenet": [*KINDS["wavenet"], *SMALL, *EVERY_TERM],
    "slimmable": [*KINDS["slimmable"], *SMALL, *EVERY_TERM, "model.size_sampling=uniform"],
}  # fmt: skip


def _arguments(pair: tuple[Path, Path], *more: str) -> list[str]:
    return [
        "data.validation_seconds=1.0", f"data.input={pair[0]}", f"data.target={pair[1]}", "callbacks=quiet",
        *more,
    ]  # fmt: skip


def _weights(run: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _files(run: Path) -> set[str]:
    return {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_of_two_processes_are_those_of_one(
    command: Run, pair: tuple[Path, Path], tmp_path: Path, case: str
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    arguments = _arguments(
        pair, *CASES[case], "trainer.max_steps=10", "trainer.precision='64'", "trainer.log_every_n_steps=1"
    )
    for run, more in ((one, []), (two, DDP)):
        finished = command("train", *arguments, *more, f"hydra.run.dir={run}")
        assert finished.returncode == 0, finished.stderr
        assert finished.stderr == "", "nothing is said by either process"
        assert finished.stdout.count("MACs/sample") == 1
    expected, weights = _weights(one), _weights(two)
    assert expected.keys() == weights.keys()
    for name, tensor in expected.items():
        assert tensor.dtype == torch.float64
        assert (weights[name] - tensor).norm() <= 1e-6 * tensor.norm(), name

    rows, shared = read_metrics(one / "metrics.csv"), read_metrics(two / "metrics.csv")
    steps = [row["step"] for row in shared if row["train/loss"]]
    assert steps == [str(i) for i in range(10)], "one row for every step"
    assert len(rows) == len(shared)
    for row, other in zip(rows, shared, strict=True):
        assert row.keys() == other.keys()
        for name, value in row.items():
            assert (other[name] == "") == (value == "")
            if value:
                assert float(other[name]) == pytest.approx(float(value), rel=1e-6), name
    _same_results(one, two, rel=1e-6)


def _same_results(one: Path, two: Path, *, rel: float) -> None:
    """Summaries, bests and the files themselves."""
    assert _files(two) == _files(one)
    assert _json(two / "status.json")["state"] == "done"
    for summary, other in zip(
        _json(one / "summary.json")["submodels"], _json(two / "summary.json")["submodels"], strict=True
    ):
        assert other["best_epoch"] == summary["best_epoch"]
        for name in ("ESR", "MRSTFT", "val_loss"):
            assert other[name] == pytest.approx(summary[name], rel=rel)
    if (one / "packed_best.json").exists():
        bests, others = (_json(run / "packed_best.json")["submodels"] for run in (one, two))
        for best, other in zip(bests, others, strict=True):
            assert other.pop("best_metric") == pytest.approx(best.pop("best_metric"), rel=rel)
            assert other == best
    assert _json(one / "summary.json")["training_id"] != _json(two / "summary.json")["training_id"]
    for a, b in zip(_models(one), _models(two), strict=True):
        assert (a - b).norm() <= rel * a.norm()


def _models(run: Path) -> list[torch.Tensor]:
    model = read_nam(run / "model.nam")
    networks: list[Any] = [part.network for part in model.submodels or [model]]
    return [torch.nn.utils.parameters_to_vector(network.parameters()).detach() for network in networks]


def test_no_object_comes_over_a_socket(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes train, neither of which unpickles what the group's sockets carry."""
    refused: list[object] = []
    monkeypatch.setattr(followers, "MODULE", "tests.plain_follower")
    monkeypatch.setattr(distributed_c10d, "_tensor_to_object", refused.append)
    monkeypatch.setattr(distributed_c10d, "_object_to_tensor", refused.append)
    run = _run(tmp_path / "run", pair, *KINDS["packed"], "trainer.devices=2", "trainer.max_epochs=2")
    assert refused == []
    assert _json(run.status)["state"] == "done"
    assert _json(run.summary)["epochs"] == 2


SHORT = [*KINDS["packed"], *SMALL, "loss=a2", "trainer.max_epochs=2"]


def _environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(tmp_path), "XDG_CACHE_HOME": CACHE, **more}


def test_torchrun_in_float32(command: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    arguments = _arguments(pair, *SHORT, "trainer.log_every_n_steps=1")
    assert command("train", *arguments, f"hydra.run.dir={one}").returncode == 0
    # no hydra.run.dir: the first process decides, and the other makes none of its own
    finished = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
            "-m", "namexp.train", *arguments, *DDP,
        ],
        cwd=tmp_path, env=_environment(tmp_path), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.count("MACs/sample") == 1
    (made,) = (tmp_path / "outputs").glob("*/*")
    made.rename(two)
    # what rounding has not amplified yet; in float64 ten steps and all that follows from them are equal
    first, second = (
        [float(row["train/loss"]) for row in read_metrics(run / "metrics.csv") if row["train/loss"]]
        for run in (one, two)
    )
    assert len(second) == len(first) > 10
    assert second[:2] == pytest.approx(first[:2], rel=1e-6)
    for run in (one, two):
        assert max(entry["ESR"] for entry in _json(run / "summary.json")["submodels"]) < 0.9, "it learns"


SLURM = {
    "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "localhost",
    "SLURM_STEP_ID": "0",
}  # fmt: skip


def _srun(tmp_path: Path, arguments: list[str]) -> list[tuple[int, str, str]]:
    """Status, stdout and stderr of two processes that srun would have started so."""
    job = str(os.getpid())  # another port for every test process
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "namexp.train", *arguments],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=_environment(
                tmp_path, **SLURM, SLURM_JOB_ID=job, SLURM_PROCID=str(rank), SLURM_LOCALID=str(rank)
            ),
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        outputs = [process.communicate(timeout=300) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(p.returncode, *output) for p, output in zip(processes, outputs, strict=True)]


def test_srun_and_a_mistake_in_it(pair: tuple[Path, Path], tmp_path: Path) -> None:
    first, second = _srun(tmp_path, _arguments(pair, *SHORT, *DDP))
    assert first[0] == 0, first[2]
    assert "MACs/sample" in first[1]
    assert second == (0, "", "")
    (run,) = (tmp_path / "outputs").glob("*/*")
    assert _json(run / "status.json")["state"] == "done"
    # refused by the first process; the other does not wait for a training that never comes
    first, second = _srun(tmp_path, _arguments(pair, *SHORT, *DDP, "trainer.devices=4"))
    assert first[0] == 1
    assert "2 processes were started, by torchrun or srun" in first[2]
    assert len(first[2].strip().splitlines()) == 1
    assert second == (0, "", "")
    first, second = _srun(tmp_path, ["-m", *_arguments(pair, *SHORT, *DDP)])
    assert (first[0], second) == (1, (0, "", ""))
    assert "-m (a sweep) cannot run inside torchrun or srun" in first[2]


def test_a_sweep_gives_every_job_its_own_processes(
    command: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    finished = command(
        "train", "-m", *_arguments(pair, *SHORT, *DDP, "trainer.max_epochs=1", "seed=0,1"),
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    runs = [tmp_path / "sweep" / job for job in "01"]
    assert [_json(run / "status.json")["state"] for run in runs] == ["done", "done"]
    assert all((run / "model.nam").exists() for run in runs)
    a, b = (_weights(run) for run in runs)
    assert any(not torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(
    ("mistake", "expected"),
    [
        ("data.batch_size=7", "data.batch_size (= 7)"),
        ("trainer.devices=0", "trainer.devices (= 0) must be at least 1"),
        ("trainer.num_nodes=2", "trainer.num_nodes (= 2): on several machines start"),
    ],
)
def test_mistakes_are_told_once_and_before_anything_starts(
    command: Run, pair: tuple[Path, Path], tmp_path: Path, mistake: str, expected: str
) -> None:
    failed = command("train", *_arguments(pair, *SHORT, *DDP, mistake), f"hydra.run.dir={tmp_path / 'run'}")
    assert failed.returncode == 1
    (line,) = failed.stderr.strip().splitlines()
    assert expected in line
    assert not list(tmp_path.rglob("*.ckpt"))


def test_two_processes_need_two_gpus(command: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    found = torch.cuda.device_count()
    failed = command(
        "train", *_arguments(pair, *SHORT, "trainer=ddp", f"trainer.devices={found + 2}"),
        f"data.batch_size={2 * (found + 2)}", f"hydra.run.dir={tmp_path / 'run'}",
    )  # fmt: skip
    assert failed.returncode == 1
    (line,) = failed.stderr.strip().splitlines()
    assert (f"torch finds {found} GPU" if found else "torch finds no GPU on this machine") in line


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals(pair: tuple[Path, Path], tmp_path: Path, sent: signal.Signals) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "namexp.train",
            *_arguments(pair, *SHORT, *DDP, "trainer.max_epochs=100000", f"hydra.run.dir={run}"),
        ],
        env=_environment(tmp_path, TMPDIR=str(tmp_path)), stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until((run / "checkpoints" / "last.ckpt").exists, process)
        (other,) = _children(process.pid)
        process.send_signal(sent)
        _, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    _ended(other)
    assert "Traceback" not in stderr
    if sent == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        return
    assert process.returncode == 130, stderr
    assert _json(run / "status.json")["state"] == "interrupted"
    assert len(read_nam(run / "model.nam").submodels) == 2
    assert not list(tmp_path.glob("namexp-*")), "the other process's files are gone"


def _children(pid: int) -> list[int]:
    """Processes whose parent is ``pid``."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc to find the other process in")
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        state = _state(path)
        if state and int(state[1]) == pid:
            found.append(int(path.parent.name))
    return found


def _state(path: Path) -> list[str]:
    """State and parent of a process; nothing if it has ended."""
    try:
        return path.read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _ended(pid: int) -> None:
    deadline = time.monotonic() + 60
    while _state(Path(f"/proc/{pid}/stat"))[:1] not in ([], ["Z"]):
        assert time.monotonic() < deadline, "the other process is still there"
        time.sleep(0.1)

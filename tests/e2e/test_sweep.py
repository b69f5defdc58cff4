"""A multirun that finishes whatever happens to its jobs, and trains nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namexp.runs.entry import is_held
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.sweeps.directory import SweepLayout, read_jobs
from namexp.tasks.capture.layout import NAM
from tests.e2e.conftest import num_rows, wait_until
from tests.e2e.test_resume import _equal, _nam_weights, _state
from tests.e2e.test_training import KINDS, SMALL

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]
SETTINGS = ["model=packed_wavenet_small", *SMALL, "callbacks=quiet"]


def _max_values(run: RunLayout) -> list[float]:
    return [entry["max_value"] for entry in json.loads((run.root / NAM).read_text())["config"]["submodels"]]


def test_jobs_that_differ_in_the_export_share_one_training(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    root = tmp_path / "sweep"
    swept = ["model.channels=[2,4],[2,3]", "export.container_max_values=uniform,compute,[0.25,1.0]"]
    finished = command(
        "train", "-m", *SETTINGS, *swept, "trainer.max_epochs=2", f"data.input={pair[0]}",
        f"data.target={pair[1]}", f"hydra.sweep.dir={root}",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    sweep = SweepLayout(root)
    summaries = [read_json(sweep.run(i).summary) for i in range(6)]
    assert [s["reused_from"] for s in summaries] == [None, "../0", "../0", None, "../3", "../3"]
    assert len({s["training_id"] for s in summaries}) == 2
    macs = [s["macs_per_sample"] for s in summaries[0]["submodels"]]
    thresholds = [_max_values(sweep.run(i)) for i in range(3)]
    assert thresholds == [[0.5, 1.0], [macs[0] / sum(macs), 1.0], [0.25, 1.0]]
    for i in (1, 2):
        assert _nam_weights(sweep.run(i)) == _nam_weights(sweep.run(0))
        assert sweep.run(i).metrics.read_text() == sweep.run(0).metrics.read_text()
    assert _nam_weights(sweep.run(3)) != _nam_weights(sweep.run(0))
    assert "6 done" in finished.stdout
    assert "model.channels=[2,3] export.container_max_values=compute" in finished.stdout
    assert str(pair[0]) not in finished.stdout.split("overrides")[-1], "what all jobs share is left out"

    # moved away, a job that trained nothing itself still works, even without the one that did
    root.rename(tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved" / "0")
    job = RunLayout(tmp_path / "moved" / "1")
    (job.root / NAM).unlink()
    exported = command("export", job.root, "--container-max-values", "quality")
    assert exported.returncode == 0, exported.stderr
    assert _nam_weights(job) == _nam_weights(RunLayout(tmp_path / "moved" / "2"))
    rendered = command("render", job.root, pair[0], tmp_path / "out.wav", "--slim", "0.1")
    assert rendered.returncode == 0, rendered.stderr


def test_one_fails_one_is_killed_and_resume_completes_it(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    root, late = tmp_path / "a sweep", tmp_path / "late.wav"
    sweep = SweepLayout(root)
    arguments = [
        *SETTINGS, "model.channels=[2,4]", "trainer.max_epochs=8", "trainer.log_every_n_steps=1",
        f"data.input={pair[0]}", "seed=0,1", f"data.target={pair[1].name},{late.name}",
        f"hydra.sweep.dir='{root}'",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", "-m", *arguments],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    run = sweep.run(2)  # 1 fails before: there is no late.wav yet
    wait_until(lambda: num_rows(run.metrics) > 24, process)
    process.send_signal(signal.SIGKILL)
    process.wait()

    told = command("sweep", "status", root)
    assert told.returncode == 1
    states = {job.number: job.state for job in read_jobs(sweep)}
    assert states == {0: "done", 1: "failed", 2: "cut off", 3: "missing"}
    assert "1 done, 1 failed, 1 cut off, 1 missing" in told.stdout
    assert "late.wav: no such file" in told.stdout
    assert "late.wav" in read_json(sweep.run(1).status)["error"]
    assert "late.wav" in (sweep.run(1).root / "train.log").read_text()

    trained = sweep.run(0).last_checkpoint.stat().st_mtime_ns
    shutil.copyfile(pair[1], late)
    resumed = command("sweep", "resume", root)
    assert resumed.returncode == 0, resumed.stderr
    assert "4 done" in resumed.stdout
    assert command("sweep", "status", root).returncode == 0
    assert sweep.run(0).last_checkpoint.stat().st_mtime_ns == trained, "what is done stays as it is"
    assert [read_json(sweep.run(i).summary)["reused_from"] for i in range(4)] == [None, "../0", None, "../2"]

    lone = RunLayout(tmp_path / "lone")
    whole = command(
        "train", *SETTINGS, "model.channels=[2,4]", f"data.input={pair[0]}", f"data.target={pair[1]}",
        "seed=1", "trainer.max_epochs=8", "trainer.log_every_n_steps=1", f"hydra.run.dir={lone.root}",
    )  # fmt: skip
    assert whole.returncode == 0, whole.stderr
    _equal(_state(run), _state(lone))


def test_parallel_jobs_wait_for_the_one_that_trains(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    pytest.importorskip(
        "hydra_plugins.hydra_joblib_launcher", reason="hydra-joblib-launcher is not installed"
    )
    root = tmp_path / "sweep"
    finished = command(
        "train", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", *SETTINGS, "model.channels=[2,4]",
        "export.container_max_values=uniform,compute", "trainer.max_epochs=6", f"data.input={pair[0]}",
        f"data.target={pair[1]}", f"hydra.sweep.dir={root}",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    sweep = SweepLayout(root)
    reused = [read_json(sweep.run(i).summary)["reused_from"] for i in range(2)]
    assert sorted(reused, key=str) == ["../0", None] or sorted(reused, key=str) == ["../1", None]
    assert _nam_weights(sweep.run(0)) == _nam_weights(sweep.run(1))


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups on Windows")
@pytest.mark.parametrize("launcher", ["basic", "joblib"])
def test_ctrl_c_waits_for_the_export_and_resume_goes_on(
    tmp_path: Path, pair: tuple[Path, Path], command: Run, launcher: str
) -> None:
    root = tmp_path / "sweep"
    sweep = SweepLayout(root)
    jobs = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", *SETTINGS, "-m", *jobs, "model.channels=[2,4]", "seed=0,1,2",
         "trainer.max_epochs=400", f"data.input={pair[0]}", f"data.target={pair[1]}",
         f"hydra.sweep.dir={root}", "export.metadata.name=amp_${seed}"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    begun = [0, 1] if launcher == "joblib" else [0]
    wait_until(lambda: all(sweep.run(i).last_checkpoint.exists() for i in begun), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    told, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    states = [job.state for job in read_jobs(sweep)]
    assert states == ["interrupted" if i in begun else "missing" for i in range(3)]
    assert f"{len(begun)} interrupted, {3 - len(begun)} missing" in told
    for i in begun:
        assert (sweep.run(i).root / NAM).exists()
    for i in range(3):  # short enough to be waited for
        if i in begun:
            done = command("train", f"resume={sweep.run(i).root}", "trainer.max_epochs=401",
                           "callbacks.stop_at_esr=100")  # fmt: skip
            assert done.returncode == 0, done.stderr
    # what was made longer is left alone, what is missing has its own ${seed}
    record = json.loads(sweep.record.read_text())
    record["task"] = [t.replace("max_epochs=400", "max_epochs=1") for t in record["task"]]
    for job in record["jobs"]:
        job["overrides"] = [t.replace("max_epochs=400", "max_epochs=1") for t in job["overrides"]]
    sweep.record.write_text(json.dumps(record))
    resumed = command("sweep", "resume", root, "hydra/launcher=basic")
    assert resumed.returncode == 0, resumed.stderr
    assert [job.state for job in read_jobs(sweep)] == ["done"] * 3
    names = [json.loads((sweep.run(i).root / NAM).read_text())["metadata"]["name"] for i in range(3)]
    assert names == ["amp_0", "amp_1", "amp_2"]


def test_a_training_that_was_made_longer_is_not_taken_for_the_shorter_one(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    root = tmp_path / "sweep"
    sweep = SweepLayout(root)
    first = command(
        "train", *SETTINGS, "model.channels=[2,4]", "export.container_max_values=uniform,compute", "-m",
        "trainer.max_epochs=1", f"data.input={pair[0]}", f"data.target={pair[1]}", f"hydra.sweep.dir={root}",
    )  # fmt: skip
    assert first.returncode == 0, first.stderr
    weights = _nam_weights(sweep.run(1))
    assert command("train", f"resume={sweep.run(0).root}", "trainer.max_epochs=2").returncode == 0
    shutil.rmtree(sweep.run(1).root)
    resumed = command("sweep", "resume", root)
    assert resumed.returncode == 0, resumed.stderr
    assert read_json(sweep.run(1).summary)["reused_from"] is None
    assert _nam_weights(sweep.run(1)) == weights
    assert read_json(sweep.run(0).summary)["epochs"] == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM on Windows")
def test_a_sweep_that_is_told_to_stop_does_not_end_well(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    sweep = SweepLayout(tmp_path / "sweep")
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", "-m", *SETTINGS, "model.channels=[2,4]", "seed=0,1",
         "trainer.max_epochs=400", f"data.input={pair[0]}", f"data.target={pair[1]}",
         f"hydra.sweep.dir={sweep.root}"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(sweep.run(0).last_checkpoint.exists, process)
    process.terminate()
    assert process.wait(timeout=60) == 130
    assert [job.state for job in read_jobs(sweep)] == ["interrupted", "missing"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM on Windows")
def test_workers_end_with_the_process_that_waits_for_them(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    pytest.importorskip(
        "hydra_plugins.hydra_joblib_launcher", reason="hydra-joblib-launcher is not installed"
    )
    sweep = SweepLayout(tmp_path / "sweep")
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", "-m", *SETTINGS, "model.channels=[2,4]", "seed=0,1",
         "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer.max_epochs=4000",
         f"data.input={pair[0]}", f"data.target={pair[1]}", f"hydra.sweep.dir={sweep.root}"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    runs = [sweep.run(i) for i in range(2)]
    wait_until(lambda: all(run.last_checkpoint.exists() for run in runs), process)
    process.terminate()  # this one only
    assert process.wait(timeout=100) == 130
    assert not any(is_held(run) for run in runs), "they were waited for"
    assert [job.state for job in read_jobs(sweep)] == ["interrupted", "interrupted"]
    assert all((run.root / NAM).exists() for run in runs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sweep=seeds", "resume=somewhere"], "resume (= somewhere): no such directory"),
        (["seed=0,1", "-m", "resume=here"], "resume (= here) continues one run; a sweep is continued by"),
        (["resume=here", "hydra.run.dir=there"], "resume (= here) continues the run where it lies"),
        (["resume="], "resume= is empty"),
        (["-m", "seed=0,1", "hydra.sweep.subdir=a_${hydra:job.num}"], "hydra.sweep.subdir must stay"),
        (["sweep=search", "optimizer.lr=interval(1,x)"], "optimizer.lr=interval(1,x): is not a range"),
    ],
)
def test_what_cannot_be_swept_or_resumed_is_refused_in_one_line(
    tmp_path: Path, command: Run, arguments: list[str], message: str
) -> None:
    finished = command("train", *arguments)
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"namexp.train: {message}")
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume", "nowhere"], "nowhere: holds no sweep.json, so it is not a sweep directory."),
        (["status", "nowhere"], "nowhere: holds no sweep.json, so it is not a sweep directory."),
        (["resume", "nowhere", "seed=1"], "seed=1: a sweep is resumed with the settings that it was started"),
    ],
)
def test_mistakes_end_in_one_line(command: Run, arguments: list[str], message: str) -> None:
    finished = command("sweep", *arguments)
    assert finished.returncode == 1
    assert finished.stderr.startswith(f"namexp.sweep: {message}")
    assert len(finished.stderr.splitlines()) == 1


def test_a_directory_of_another_sweep_is_refused(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    def sweep(seeds: str) -> Any:
        return command(
            "train", "-m", *KINDS["wavenet"], *SMALL, "callbacks=quiet", f"seed={seeds}",
            f"data.input={pair[0]}", f"data.target={pair[1]}", "trainer.max_epochs=1",
            f"hydra.sweep.dir={tmp_path / 'sweep'}",
        )  # fmt: skip

    assert sweep("0").returncode == 0
    other = sweep("0,1")
    assert other.returncode == 1
    assert "holds another sweep; choose another hydra.sweep.dir." in other.stderr
    assert not (tmp_path / "sweep" / "1").exists()
    again = sweep("0")  # the same jobs, but nobody said resume
    assert again.returncode == 1
    assert "holds this sweep already; go on with it by python -m namexp.sweep resume." in again.stderr

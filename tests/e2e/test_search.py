"""A search that can be cut off, continued and shared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from namexp.runs.files import read_json
from namexp.sweeps.directory import SweepLayout, read_jobs
from tests.e2e.conftest import wait_until
from tests.e2e.test_training import SMALL

optuna = pytest.importorskip("optuna", reason="Optuna is not installed")
pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]


def _arguments(pair: tuple[Path, Path], root: Path, *more: str) -> list[str]:
    fixed = [setting for setting in SMALL if not setting.startswith(("optimizer.lr", "data.batch_size"))]
    return [
        "sweep=search", "model=packed_wavenet_small", *fixed, "model.channels=[2,3]", "callbacks=quiet",
        "trainer.max_epochs=1", f"data.input={pair[0]}", f"data.target={pair[1]}",
        "optimizer.lr=tag(log,interval(0.001,0.05))", "data.batch_size=choice(4,8)",
        "loss.mrstft_weight=0.001", f"hydra.sweep.dir={root}", *more,
    ]  # fmt: skip


def _study(root: Path) -> optuna.Study:
    backend = optuna.storages.journal.JournalFileBackend(str(root / "study.journal"))
    return optuna.load_study(study_name="namexp", storage=optuna.storages.JournalStorage(backend))


def test_a_search_goes_on_after_a_kill_and_with_more_trials(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    root = tmp_path / "search"
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", *_arguments(pair, root, "hydra.sweeper.trials=3")],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until((root / "1" / "status.json").exists, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    drawn = [trial.params for trial in _study(root).trials]
    assert len(drawn) == 2
    assert command("sweep", "status", root).returncode == 1

    resumed = command("sweep", "resume", root)
    assert resumed.returncode == 0, resumed.stderr
    trials = _study(root).trials
    assert [t.state.name for t in trials] == ["COMPLETE"] * 3
    assert [t.params for t in trials[:2]] == drawn, "what was drawn is done, not drawn again"
    for trial in trials:
        run = SweepLayout(root).run(trial.number)
        esrs = [s["ESR"] for s in read_json(run.summary)["submodels"]]
        assert trial.value == pytest.approx(sum(esrs) / 2)
        config = (run.root / "config.yaml").read_text()
        assert f"lr: {trial.params['optimizer.lr']}" in config
        assert f"batch_size: {trial.params['data.batch_size']}" in config
    best = min(trials, key=lambda t: t.value)
    assert f"best of 3: job {best.number}, ESR {best.value:.5g}" in resumed.stdout
    assert "3 done" in resumed.stdout

    more = command("sweep", "resume", root, "hydra.sweeper.trials=5", "hydra.sweeper.at_once=2")
    assert more.returncode == 0, more.stderr
    assert [job.state for job in read_jobs(SweepLayout(root))] == ["done"] * 5
    lrs = [t.params["optimizer.lr"] for t in _study(root).trials]
    assert len(set(lrs)) == 5
    assert all(0.001 <= lr <= 0.05 for lr in lrs)


def test_two_processes_work_on_one_search(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    root = tmp_path / "search"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    first = [sys.executable, "-m", "namexp.train", *_arguments(pair, root, "hydra.sweeper.trials=4")]
    second = [sys.executable, "-m", "namexp.sweep", "resume", str(root)]
    one = subprocess.Popen(first, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    wait_until((root / "0" / "status.json").exists, one)
    two = subprocess.run(second, env=environment, capture_output=True, text=True, timeout=300)
    assert one.wait(timeout=300) == 0
    assert "done" in two.stdout, two.stderr
    trials = _study(root).trials
    assert [t.state.name for t in trials] == ["COMPLETE"] * 4
    assert len({t.params["optimizer.lr"] for t in trials}) == 4
    pids = {read_json(SweepLayout(root).run(i).status)["pid"] for i in range(4)}
    assert len(pids) == 2, "both have worked"


def test_what_was_searched_by_one_metric_is_not_searched_by_another(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    arguments = _arguments(pair, tmp_path / "search", "hydra.sweeper.trials=1")
    assert command("train", *arguments).returncode == 0
    again = command("train", *arguments, "resume=auto", "hydra.sweeper.objective=MRSTFT")
    assert again.returncode == 1
    assert "is searched by ESR (minimize), not by MRSTFT (minimize)" in again.stderr
    assert "Traceback" not in again.stderr


def test_without_optuna_one_line_says_what_to_install(
    tmp_path: Path, pair: tuple[Path, Path], command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "sitecustomize.py").write_text("import sys\nsys.modules['optuna'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    finished = command("train", *_arguments(pair, tmp_path / "search"))
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].endswith("needs Optuna: pip install 'namexp[search]'.")
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("hydra.sweeper.objective=loudness", "hydra.sweeper.objective (= loudness) must be one of ESR"),
        ("hydra.sweeper.trials=0", "hydra.sweeper.trials (= 0) must be a whole number of at least 1."),
    ],
)
def test_mistakes_end_in_one_line(
    tmp_path: Path, pair: tuple[Path, Path], command: Run, override: str, message: str
) -> None:
    finished = command("train", *_arguments(pair, tmp_path / "search", override))
    assert finished.returncode == 1
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
    assert json.loads((tmp_path / "search" / "sweep.json").read_text())["jobs"] == []

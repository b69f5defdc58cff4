"""How a sweep ends, as the process that the user started sees it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namexp.engine.execution import Execution
from namexp.engine.launch import launch
from namexp.errors import UserError
from namexp.runs.files import write_json
from namexp.sweeps.directory import SweepLayout
from namexp.sweeps.record import InterruptedSweepError, SweepRecord

Launch = Callable[[BaseException | None], int]


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepLayout:
    """One of two jobs, of which the first is done and the second has failed."""
    sweep = SweepLayout(tmp_path)
    record = {"task": [], "hydra": [], "flags": [], "cwd": str(tmp_path), "space": None}
    write_json(sweep.record, {**record, "jobs": [{"overrides": ["seed=0"]}, {"overrides": ["seed=1"]}]})
    write_json(sweep.run(0).status, {"state": "done", "error": None})
    write_json(sweep.run(1).status, {"state": "failed", "error": "x.wav: no such file."})
    monkeypatch.setattr(SweepRecord, "started", tmp_path)
    monkeypatch.setattr(sys, "argv", ["namexp.train", "-m", "seed=0,1"])
    for name in ("RANK", "WORLD_SIZE", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    return sweep


def _launch(error: BaseException | None) -> int:
    def hydra_main() -> None:
        if error is not None:
            raise error

    tasks: Any = None
    return launch(hydra_main, Execution(tasks))


def _finish(sweep: SweepLayout) -> None:
    write_json(sweep.run(1).status, {"state": "done", "error": None})


def test_a_failed_job_is_a_status_and_the_way_on(
    sweep: SweepLayout, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _launch(UserError("x.wav: no such file.")) == 1
    told = capsys.readouterr()
    assert "job 1 failed: x.wav: no such file." in told.out
    assert told.err == f"run the rest by: python -m namexp.sweep resume {sweep.root}\n"
    _finish(sweep)
    assert _launch(None) == 0


def test_what_no_job_has_said_is_raised(sweep: SweepLayout) -> None:
    with pytest.raises(UserError, match="needs Optuna"):
        _launch(UserError("sweep=search needs Optuna: pip install 'namexp[search]'."))
    _finish(sweep)
    with pytest.raises(UserError, match="needs Optuna"):
        _launch(UserError("sweep=search needs Optuna: pip install 'namexp[search]'."))


def test_a_worker_that_was_killed_is_one_line_below_the_table(
    sweep: SweepLayout, capsys: pytest.CaptureFixture[str]
) -> None:
    loky = pytest.importorskip("joblib.externals.loky.process_executor", reason="joblib is not installed")
    with pytest.raises(UserError, match=r"was ended from outside; is there enough memory .*n_jobs"):
        _launch(loky.TerminatedWorkerError("A worker process\n..."))
    assert "1 done, 1 failed" in capsys.readouterr().out


@pytest.mark.parametrize("all_done", [True, False])
@pytest.mark.parametrize("error", [InterruptedSweepError(), KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_an_interruption_is_one_whatever_the_jobs_have_become(
    sweep: SweepLayout, capsys: pytest.CaptureFixture[str], error: BaseException, all_done: bool
) -> None:
    sweep.interrupted.write_text("1")
    if all_done:
        _finish(sweep)
    with pytest.raises(KeyboardInterrupt):
        _launch(error)
    assert ("2 done" in capsys.readouterr().out) == all_done

"""A task that src/ has never heard of goes through everything that a capture goes through.

It lives in tests/second_task: a line through points with two optimisers, and a headline that is better when
higher and may be negative. Its registration is one line that every process runs at its start.
"""

from __future__ import annotations

import csv
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from namexp.engine.checkpoint import load_checkpoint
from namexp.runs.files import read_json
from namexp.runs.metrics import read_metrics
from namexp.sweeps.directory import SweepLayout, read_jobs
from tests.e2e.conftest import CACHE, num_rows, wait_until
from tests.e2e.states import equal, stored
from tests.e2e.test_report import column
from tests.offline_run import offline_runs

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SECOND = ROOT / "tests" / "second_task"
FLAGS = ["--config-dir", str(SECOND / "conf")]
SETTINGS = ["model=line", "optimizer.lr=0.05", "trainer.max_epochs=6", "callbacks=quiet"]
STEPS_PER_EPOCH = 6  # 192 of 256 points by 32

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(SECOND / "site"), str(ROOT)]))


def _train(command: Run, *arguments: object) -> None:
    finished = command("train", *FLAGS, *SETTINGS, *arguments)
    assert finished.returncode == 0, finished.stderr


def test_it_learns_and_says_so(command: Run, tmp_path: Path) -> None:
    finished = command("train", *FLAGS, *SETTINGS, "trainer.max_epochs=80", "hydra.run.dir=run")
    assert finished.returncode == 0, finished.stderr
    told = finished.stdout.strip().splitlines()
    at = next(i for i, line in enumerate(told) if line.split()[:1] == ["submodel"])
    head, row = told[at], told[at + 2]
    assert head.split() == ["submodel", "parameters", "MACs/sample", "LL", "RMSE"]
    summary = read_json(tmp_path / "run" / "summary.json")
    (entry,) = summary["submodels"]
    assert row.split()[-2:] == [f"{entry['LL']:.4f}", f"{entry['RMSE']:.4f}"]
    # the entropy of the noise is the best that there is: - log(0.1) - log(2 pi e) / 2 = 0.884
    best = -math.log(0.1) - 0.5 * math.log(2 * math.pi * math.e)
    assert best - 0.15 < entry["LL"] < best + 0.15
    line = json.loads((tmp_path / "run" / "line.json").read_text())
    assert line["line"] == pytest.approx([2.0, -1.0], abs=0.05)
    assert line["scatter"] == pytest.approx(0.1, abs=0.02)
    assert summary["task"] == "line"
    assert [metric["name"] for metric in summary["metrics"]] == ["LL", "RMSE"]
    rows = [row for row in read_metrics(tmp_path / "run" / "metrics.csv") if row["val_loss"]]
    assert entry["val_loss"] == pytest.approx(min(float(row["val_loss"]) for row in rows), rel=1e-5)
    assert float(rows[0]["LL"]) < 0 < entry["LL"]


def test_two_optimisers_count_once(command: Run, tmp_path: Path) -> None:
    _train(command, "hydra.run.dir=run", "trainer.log_every_n_steps=1", "trainer.max_steps=10")
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert [row["step"] for row in rows if row["train/loss"]] == [str(i) for i in range(10)]
    content = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert (content["updates"], content["global_step"], len(content["optimizer_states"])) == (10, 20, 2)
    assert all(row["train/grad_norm_line"] and row["train/lr_scatter"] for row in rows if row["train/loss"])


@pytest.mark.parametrize(
    "schedule",
    [
        ["scheduler=exponential"],
        ["scheduler.name=StepLR", "scheduler.options={step_size: 5}", "scheduler.interval=step"],
        ["scheduler.name=ReduceLROnPlateau", "scheduler.options={patience: 0}", "scheduler.monitor=LL"],
    ],
    ids=["epochs", "steps", "plateau"],
)
def test_killed_and_resumed_it_equals_one_that_never_stopped(
    command: Run, tmp_path: Path, schedule: list[str]
) -> None:
    more = [*schedule, "trainer.max_epochs=400", "trainer.log_every_n_steps=1"]
    _train(command, *more, "hydra.run.dir=whole")
    cut = tmp_path / "cut"
    arguments = [*FLAGS, *SETTINGS, *more, "hydra.run.dir=cut"]
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", *arguments], cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(tmp_path), "XDG_CACHE_HOME": CACHE},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: num_rows(cut / "metrics.csv") > 30, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = load_checkpoint(cut / "checkpoints" / "last.ckpt")
    assert 0 < stopped["updates"] < 400 * STEPS_PER_EPOCH, "the machine was too fast, or too slow"
    resumed = command("train", "resume=cut")
    assert resumed.returncode == 0, resumed.stderr
    assert equal(stored(cut), stored(tmp_path / "whole"))
    assert (cut / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()
    rates = [float(row["train/lr_line"]) for row in read_metrics(cut / "metrics.csv") if row["train/loss"]]
    assert rates[0] > rates[-1], "the schedule has done something"
    assert read_json(cut / "line.json") == read_json(tmp_path / "whole" / "line.json")


def test_two_processes_are_one(command: Run, tmp_path: Path) -> None:
    precise = ["trainer.precision='64'", "trainer.max_epochs=3"]
    _train(command, *precise, "hydra.run.dir=one")
    _train(
        command, *precise, "hydra.run.dir=two", "trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"
    )
    one, two = (stored(tmp_path / name)["state_dict"] for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-9, atol=1e-12)
    first, second = (read_json(tmp_path / name / "summary.json")["submodels"][0] for name in ("one", "two"))
    assert second["LL"] == pytest.approx(first["LL"], rel=1e-6)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two noises, two seeds, and what cannot change the weights: eight jobs, four trainings."""
    folder = tmp_path_factory.mktemp("line")
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join([str(SECOND / "site"), str(ROOT)]),
        "OMP_NUM_THREADS": "1", "WANDB_MODE": "offline",
    }  # fmt: skip
    finished = subprocess.run(
        [
            sys.executable, "-m", "namexp.train", *FLAGS, *SETTINGS, "-m", "hydra.sweep.dir=sweep",
            "data.noise=0.1,0.4", "seed=0,1", "callbacks.plots=true,false", "trainer.max_epochs=60",
            "logger=wandb",
        ],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return folder / "sweep"


def test_jobs_share_trainings_and_a_sweep_is_resumed(command: Run, tmp_path: Path, sweep: Path) -> None:
    reused = [read_json(sweep / str(i) / "summary.json")["reused_from"] for i in range(8)]
    assert reused == [None, "../0", None, "../2", None, "../4", None, "../6"]
    for i in (1, 3, 5, 7):
        assert equal(stored(sweep / str(i)), stored(sweep / str(i - 1)))
    record = read_json(sweep / "sweep.json")
    other = tmp_path / "other"
    (tmp_path / "there").mkdir()
    record = {**record, "cwd": str(tmp_path), "hydra": ["hydra.mode=MULTIRUN"]}
    record["task"] = [text for text in record["task"] if text != "logger=wandb"]
    for job in record["jobs"]:
        job["overrides"].remove("logger=wandb")
    other.mkdir()
    (other / "sweep.json").write_text(json.dumps(record))
    resumed = command("sweep", "resume", other)
    assert resumed.returncode == 0, resumed.stderr
    jobs = read_jobs(SweepLayout(other))
    assert [job.state for job in jobs] == ["done"] * 8
    assert "LL" in resumed.stdout
    for i in range(8):
        assert equal(stored(other / str(i))["state_dict"], stored(sweep / str(i))["state_dict"])


def test_the_report_ranks_the_highest_first(command: Run, tmp_path: Path, sweep: Path) -> None:
    reported = command("report", sweep, "-o", "page")
    assert reported.returncode == 0, reported.stderr
    report = read_json(tmp_path / "page" / "report.json")
    lls = [run["submodels"][0]["ll"] for run in report["runs"]]
    assert max(lls[:4]) > 0.5 > 0 > max(lls[4:]), "little noise is above 0, much is below"
    assert report["headline"] == "ll"
    assert report["front"] == [[lls.index(max(lls)), 0]]
    assert "ll_db" not in report["runs"][0]["submodels"][0]
    assert report["runs"][0]["submodels"][0]["rmse_db"] is not None
    assert [run["knob"] for run in report["runs"]] == [None] * 8
    assert sorted(group["n"] for group in report["groups"]) == [2, 2]
    (comparison,) = report["comparisons"]
    assert (comparison["metric"], comparison["ratio"], comparison["better"]) == ("LL", None, "a")
    assert comparison["difference"] == pytest.approx(np.mean(lls[:4:2]) - np.mean(lls[4::2]))
    rows = list(csv.DictReader((tmp_path / "page" / "report.csv").read_text().splitlines()))
    assert [float(row["submodel_ll"]) for row in rows] == lls
    order = re.search(r'"order":(\[[\d,]+\])', (tmp_path / "page" / "report.html").read_text())
    assert order is not None
    best_first = [lls[i] for i in json.loads(order[1])]
    assert best_first == sorted(lls, reverse=True)


def test_the_page_shows_what_was_learned(
    command: Run, tmp_path: Path, sweep: Path, open_page: Callable[..., Any]
) -> None:
    assert command("report", sweep, "-o", "page").returncode == 0
    page = open_page(tmp_path / "page" / "report.html")
    assert "highest LL: run " in page.locator("#headline").inner_text()
    assert page.locator("#scatter-title").inner_text() == "LL against computation"
    assert "Upper left is better" in page.locator("#scatter-hint").inner_text()
    assert page.locator("#scatter circle.point").count() == 8, "negative ones are drawn too"
    assert page.locator("#curve-metric option").all_inner_texts() == ["LL", "val_loss", "RMSE", "train/loss"]
    assert page.locator("#knob-card").is_hidden()
    assert len(column(page, "LL")) == 8
    page.fill("#filter", "ll>0")
    page.wait_for_function("document.querySelectorAll('#table tbody tr').length === 4")
    seeds = page.locator("#seeds-body").inner_text()
    assert "t-test on LL, paired" in seeds
    assert "LL of A − B" in seeds
    assert "A is better" in seeds or "this budget cannot tell" in seeds
    assert "ESR" not in page.locator("body").inner_text()


def test_weights_and_biases_keeps_the_highest(sweep: Path) -> None:
    (run,) = offline_runs(sweep / "0")
    rows = read_metrics(sweep / "0" / "metrics.csv")
    lls = [float(row["LL"]) for row in rows if row["LL"]]
    assert run.values("LL") == lls
    assert run.summary["LL"] == {"max": max(lls)}
    assert run.summary["RMSE"] == {"min": min(float(row["RMSE"]) for row in rows if row["RMSE"])}
    entry = read_json(sweep / "0" / "summary.json")["submodels"][0]
    assert run.summary["exported/LL"] == pytest.approx(entry["LL"], rel=1e-12)
    assert run.config["task"] == "line"
    assert {"audio/points", "audio/error", "submodels"} <= run.logged_keys()
    assert sorted(artifact.type for artifact in run.artifacts) == ["checkpoint", "model", "run_table"]


def test_a_search_looks_for_the_highest(command: Run, tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="optuna is not installed")
    finished = command(
        "train", *FLAGS, "model=choice(line)", "callbacks=quiet", "sweep=search_line",
        "hydra.sweeper.trials=4", "hydra.sweep.dir=search", "trainer.max_epochs=3",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    figures = [
        read_json(tmp_path / "search" / str(i) / "summary.json")["submodels"][0]["LL"] for i in range(4)
    ]
    best = int(np.argmax(figures))
    # "choice" of one model: what is learned is known from the trials, not from the defaults
    assert f"best of 4: job {best}, LL {figures[best]:.5g} with optimizer.lr=" in finished.stdout


def test_what_is_good_enough_is_so_from_above(command: Run, tmp_path: Path) -> None:
    finished = command(
        "train", *FLAGS, *SETTINGS, "trainer.max_epochs=100", "callbacks.stop_at=-1.0", "hydra.run.dir=run"
    )
    assert finished.returncode == 0, finished.stderr
    assert "every LL is at or above callbacks.stop_at = -1" in finished.stdout + finished.stderr
    lls = [float(row["LL"]) for row in read_metrics(tmp_path / "run" / "metrics.csv") if row["LL"]]
    assert lls[-1] >= -1.0 > lls[-2]


def test_points_may_be_moved_and_their_content_counts(command: Run, tmp_path: Path) -> None:
    points = np.stack([np.linspace(-1, 1, 128), np.linspace(0, 1, 128)])
    np.save(tmp_path / "a.npy", points)
    _train(command, "data.file=a.npy", "trainer.max_epochs=2", "hydra.run.dir=run")
    (tmp_path / "there").mkdir()
    (tmp_path / "a.npy").rename(tmp_path / "there" / "b.npy")
    moved = command("train", *FLAGS, "resume=run", "data.file=there/b.npy", "trainer.max_epochs=3")
    assert moved.returncode == 0, moved.stderr
    np.save(tmp_path / "there" / "b.npy", points + 1)
    changed = command("train", *FLAGS, "resume=run", "data.file=there/b.npy", "trainer.max_epochs=4")
    assert changed.returncode == 1
    assert "was trained on data of another content than" in changed.stderr
    assert len(changed.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["model=line", "data=normalized"],
            "data (with input, target, pairs, ...) is for amps, and model.kind line is for lines; choose "
            "data=points.",
        ),
        (
            ["model=line", "loss=mse"],
            "loss (with mse_weight, esr_weight, dc_weight, ...) is for amps, and model.kind line is for "
            "lines; leave loss out: ~loss.",
        ),
        (
            ["model=wavenet", "data=points"],
            "data (with num_points, noise, seed, ...) is for lines, and model.kind wavenet is for amps; "
            "choose data=normalized or raw.",
        ),
        (["model=line", "data.noise=0"], "data.noise (= 0) must be above 0."),
        (["model=line", "callbacks.stop_at_esr=0.1"], "callbacks.stop_at, which means LL here"),
        (
            ["model=line", "scheduler.name=ReduceLROnPlateau", "scheduler.monitor=ESR"],
            "one of val_loss, LL, RMSE",
        ),
        (["model=line", "data.file=nowhere.npy"], "nowhere.npy: no such file or directory (data.file)"),
        (
            ["model=line", "init_from=."],
            "the task line cannot start from weights; leave it out.",
        ),
    ],
)  # fmt: skip
def test_what_belongs_to_another_task_is_refused_by_name(
    command: Run, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    refused = command("train", *FLAGS, *arguments, "hydra.run.dir=run")
    assert refused.returncode == 1
    assert expected in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "run" / "checkpoints").exists()

"""Directories that an earlier namexp wrote are resumed, rendered, exported and reported as ever."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from namexp.audio.wav import read_wav, write_wav
from namexp.conf_dir import conf_dir
from namexp.runs.files import read_json
from namexp.runs.metrics import read_metrics

pytestmark = pytest.mark.e2e

OLD = Path(__file__).resolve().parents[1] / "old_runs"
RATE = 48000
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of the old directories, with the paths that they would have here."""
    for source in OLD.rglob("*"):
        target = tmp_path / source.relative_to(OLD)
        if source.is_dir():
            target.mkdir(exist_ok=True)
        elif source.suffix in (".yaml", ".json", ".nam"):
            text = source.read_text(encoding="utf-8")
            target.write_text(text.replace("@HERE@", str(tmp_path)).replace("@CONF@", conf_dir()))
        else:
            shutil.copyfile(source, target)
    return tmp_path


def test_a_training_that_was_cut_off_goes_on(command: Run, old: Path) -> None:
    run = old / "cut_off"
    before = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    rows = read_metrics(run / "metrics.csv")[: before["callbacks"]["Checkpoints"]["metric_rows"]]
    assert len(rows) > 10
    finished = command("train", "resume=cut_off")
    assert finished.returncode == 0, finished.stderr
    assert read_json(run / "status.json")["state"] == "done"
    after, now = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True),
        read_metrics(run / "metrics.csv"),
    )
    assert now[: len(rows)] == rows
    summary = read_json(run / "summary.json")
    assert summary["epochs"] == 4
    assert summary["training_id"] == before["namexp"]["training_id"]
    assert after["global_step"] == 2 * before["global_step"], "two epochs of four were stored"
    bests = read_json(run / "packed_best.json")["submodels"]
    for i, best in enumerate(bests):
        losses = [float(row[f"val_loss_packed_{i}"]) for row in now if row["val_loss"]]
        assert len(losses) == 4
        assert best["best_metric"] == pytest.approx(min(losses), rel=1e-6)


def test_a_checkpoint_that_lightning_cannot_take_up_ends_in_one_line(command: Run, old: Path) -> None:
    last = old / "cut_off" / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    before = read_json(old / "cut_off" / "status.json")
    torch.save({**content, "optimizer_states": [], "loops": {"fit_loop": 5}}, last)
    finished = command("train", "resume=cut_off")
    assert finished.returncode == 1
    (line,) = finished.stderr.strip().splitlines()[-1:]
    assert "last.ckpt: is damaged, or was not written by namexp: " in line
    assert "Traceback" not in finished.stderr
    assert read_json(old / "cut_off" / "status.json")["state"] == "failed"
    assert before["state"] == "running"


def test_a_sweep_that_was_cut_off_is_finished(command: Run, old: Path) -> None:
    status = command("sweep", "status", "sweep")
    assert status.returncode == 1
    assert status.stdout.splitlines()[-1] == "1 done, 1 cut off, 2 missing"
    done = (old / "sweep" / "0" / "summary.json").read_text()
    resumed = command("sweep", "resume", "sweep")
    assert resumed.returncode == 0, resumed.stderr
    summaries = [read_json(old / "sweep" / str(i) / "summary.json") for i in range(4)]
    assert [summary["reused_from"] for summary in summaries] == [None, None, "../0", "../1"]
    assert (old / "sweep" / "0" / "summary.json").read_text() == done, "what is done stays as it is"
    assert summaries[2]["training_id"] == summaries[0]["training_id"]
    assert summaries[2]["submodels"][0]["ESR"] == pytest.approx(summaries[0]["submodels"][0]["ESR"], rel=1e-4)

    reported = command("report", "sweep")
    assert reported.returncode == 0, reported.stderr
    report = read_json(old / "sweep" / "report.json")
    assert report["counts"] == {"done": 4}
    groups = [sorted(group["runs"]) for group in report["groups"]]
    assert groups == [["0", "1", "2", "3"]], "thresholds do not tell trainings apart, old or new"


@pytest.mark.parametrize("kind", ["packed", "wavenet", "slimmable"])
def test_it_plays_and_is_exported_again(command: Run, old: Path, kind: str) -> None:
    write_wav(old / "x.wav", (0.2 * np.random.RandomState(0).standard_normal(RATE)).astype(np.float32), RATE)
    exported = command("export", kind, "-o", "again.nam")
    assert exported.returncode == 0, exported.stderr
    before, after = (json.loads(path.read_text()) for path in (old / kind / "model.nam", old / "again.nam"))
    for model in (before, after):
        for part in [model, *(entry["model"] for entry in model["config"].get("submodels", []))]:
            del part["metadata"]["date"]
    assert after["config"] == before["config"]
    assert after["weights"] == before["weights"]
    assert after["metadata"].keys() == before["metadata"].keys()
    assert after["metadata"]["training"] == before["metadata"]["training"]
    played = []
    for model in ("again.nam", kind, f"{kind}/checkpoints/best.ckpt"):
        assert command("render", model, "x.wav", "y.wav").returncode == 0
        played.append(read_wav(old / "y.wav").samples)
    assert np.abs(played[0]).max() > 0.01
    assert np.array_equal(played[0], played[1])
    if kind != "packed":  # the trainer's checkpoint has the best mean, the file each submodel's best
        assert np.abs(played[2] - played[0]).max() < 2e-6 * np.abs(played[0]).max()


def test_all_of_them_are_reported(command: Run, old: Path) -> None:
    reported = command("report", ".", "-o", "page")
    assert reported.returncode == 0, reported.stderr
    report = read_json(old / "page" / "report.json")
    runs = {run["label"]: run for run in report["runs"]}
    assert report["counts"] == {"done": 4, "interrupted": 2, "missing": 2}
    for kind in ("packed", "wavenet", "slimmable"):
        summary = read_json(old / kind / "summary.json")
        assert runs[kind]["training_id"] == summary["training_id"]
        assert [s["esr"] for s in runs[kind]["submodels"]] == [s["ESR"] for s in summary["submodels"]]
        assert runs[kind]["damages"] == []
    assert runs["packed"]["knob"]["score"] is not None

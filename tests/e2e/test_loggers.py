"""Loggers beside metrics.csv: other models than packs, continued trainings, terminals, TensorBoard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from namexp.runs.metrics import read_metrics
from tests.e2e.told import PACK, SMALL, dashboard, environment, named_keys, python, train
from tests.offline_run import offline_runs

pytestmark = pytest.mark.e2e


def test_a_continued_training_goes_on_in_the_same_run(recording: Path) -> None:
    told = ("logger=wandb", "callbacks.plots=false")
    begun = train(recording, "hydra.run.dir=longer", *PACK, *told, epochs=1)
    assert begun.returncode == 0, begun.stderr
    continued = python(recording, "-m", "namexp.train", "resume=longer", "trainer.max_epochs=2")
    assert continued.returncode == 0, continued.stderr
    first, second = offline_runs(recording / "longer")
    assert first.run.run_id == second.run.run_id
    assert [len(part.values("audio/input")) for part in (first, second)] == [1, 0]
    rows = [row for row in read_metrics(recording / "longer" / "metrics.csv") if row["ESR_packed_1"]]
    expected = [(int(row["step"]), float(row["ESR_packed_1"])) for row in rows]
    assert len(expected) == 2
    assert [
        (row["trainer/global_step"], row["ESR_packed_1"])
        for part in (first, second)
        for row in part.history
        if "ESR_packed_1" in row
    ] == expected
    assert second.summary["epochs"] == 2


@pytest.mark.parametrize(
    ("model", "suffixes"),
    [(["model=wavenet_nano", "model.channels=4"], [""]),
     (["model=slimmable", "model.channels=[2,4]"], ["_channels_2", "_channels_4"])],
    ids=["wavenet", "slimmable"],
)  # fmt: skip
def test_the_same_holds_for_one_size_and_for_many(
    recording: Path, tmp_path: Path, model: list[str], suffixes: list[str]
) -> None:
    where = [f"hydra.run.dir={tmp_path / 'run'}", "logger=wandb", "logger.project=amps", "logger.group=g"]
    finished = train(recording, *model, *where, epochs=1)
    assert finished.returncode == 0, finished.stderr
    (run,) = offline_runs(tmp_path / "run")
    printed = dashboard(recording, "--entity", "me", "--dry-run", str(tmp_path / "run"))
    specification = json.loads(printed.stdout)
    assert specification["project"] == "amps"
    assert specification["spec"]["section"]["runSets"][0]["filters"]["filters"][0]["value"] == "g"
    named = set(named_keys(specification))
    assert named <= run.logged_keys()
    assert {f"{k}{s}" for k in ("ESR", "audio/prediction", "model/macs_per_sample") for s in suffixes} < named
    files = {a.type: {c.path for c in a.manifest.contents} for a in run.artifacts}
    assert files["checkpoint"] == {"best.ckpt"}
    (table,) = run.values("submodels")
    assert len(json.loads(run.file(table).read_text())["data"]) == len(suffixes)


def test_tensorboard_and_metrics_csv_say_the_same(recording: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    finished = train(recording, *PACK, "hydra.run.dir=tb", "logger=tensorboard", "callbacks.plots=false")
    assert finished.returncode == 0, finished.stderr
    found = EventAccumulator(str(recording / "tb" / "tensorboard")).Reload()
    rows = read_metrics(recording / "tb" / "metrics.csv")
    for name in ("ESR_packed_1", "val_loss", "train/loss"):
        expected = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        assert [(e.step, e.value) for e in found.Scalars(name)] == expected
    assert len(found.Audio("audio/prediction_packed_0")) == 1  # the end
    assert not (recording / "tb" / "wandb").exists()


def test_only_a_logger_that_is_chosen_is_imported() -> None:
    code = (
        "import sys, namexp.engine.experiment, namexp.evaluate, namexp.export\n"
        "print([name for name in ('wandb', 'tensorboard', 'wandb_workspaces') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_nothing_is_asked_on_a_terminal(recording: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    import pty

    ours, terminal = pty.openpty()
    finished = subprocess.run(
        [sys.executable, "-m", "namexp.train", *PACK, *SMALL, "logger=wandb", "logger.mode=online",
         "hydra.run.dir=online"],
        cwd=recording, env=environment(recording), stdin=terminal, stdout=terminal, stderr=terminal,
        timeout=300,
    )  # fmt: skip
    os.close(terminal)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert finished.returncode == 1
    assert shown.startswith("namexp.train: logger.mode (= online): there is no W&B API key for ")
    assert len(shown.strip().splitlines()) == 1
    assert not list((recording / "online").rglob("*.ckpt"))

"""A sweep that W&B is told of, offline and in one process, read back to the last sample."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from namexp.audio.wav import read_wav, write_wav
from namexp.data.recordings import load_recordings
from namexp.fitting import Training
from namexp.models.build import build_network
from namexp.playable import load_playable
from namexp.runs.files import read_json, write_json
from namexp.runs.layout import RunLayout
from namexp.runs.metrics import read_metrics
from namexp.schema.experiment import parse_experiment
from namexp.tracked import tell_outcome, tracked
from tests.e2e.conftest import RATE, synthetic_pair
from tests.offline_run import OfflineRun, offline_runs

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = ("_packed_0", "_packed_1")
SMALL = [
    "model=packed_wavenet_small", "model.channels=[2,4]", "export.container_max_values=[0.3,1.0]",
    "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2,4,8], activation: LeakyReLU}]",
    "model.head_scale=0.1", "data.ny=1100", "data.batch_size=8", "data.validation_seconds=1.0",
    "trainer.max_epochs=2", "callbacks.progress=false",
]  # fmt: skip


def _environment(home: Path) -> dict[str, str]:
    folders = {f"WANDB_{name}": str(home / name) for name in ("DATA_DIR", "CACHE_DIR", "CONFIG_DIR")}
    kept = {k: v for k, v in os.environ.items() if k not in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")}
    return {**kept, **folders, "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1", "HOME": str(home)}


def _train(folder: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "namexp.train", *overrides, *SMALL, "data.input=x.wav", "data.target=y.wav"],
        cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=600,
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a recording."""
    path = tmp_path_factory.mktemp("tracking")
    for name, samples in zip(("x.wav", "y.wav"), synthetic_pair(6.0), strict=True):
        write_wav(path / name, samples, RATE)
    return path


@pytest.fixture(scope="module")
def sweep(folder: Path) -> Path:
    """Three jobs in one process; the one in the middle fails."""
    finished = _train(
        folder, "-m", "hydra.sweep.dir=plexi", "optimizer.lr=0.01,1e30,0.02", "logger=wandb",
        "logger.audio_every_n_validations=1", "logger.audio_seconds=0.5", "logger.tags=[mine]",
    )  # fmt: skip
    assert finished.returncode == 1, finished.stderr
    assert "has diverged" in finished.stderr
    return folder / "plexi"


@pytest.fixture(scope="module")
def run(sweep: Path) -> OfflineRun:
    """What the first job told."""
    (found,) = offline_runs(sweep / "0")
    return found


# --- a sweep --------------------------------------------------------------------------------------


def test_jobs_of_one_process_are_runs_of_one_group(sweep: Path) -> None:
    found = []
    for job in ("0", "1", "2"):
        (run,) = offline_runs(sweep / job)  # one each
        assert (sweep / job / "wandb_id.txt").read_text().strip() == run.run.run_id
        found.append(run)
    assert len({run.run.run_id for run in found}) == 3
    assert [run.run.run_group for run in found] == ["plexi"] * 3
    assert [run.run.display_name for run in found] == ["0: lr=0.01", "1: lr=1e+30", "2: lr=0.02"]
    assert [run.exit_code for run in found] == [0, 1, 0]
    assert found[1].summary["error"].startswith("UserError: submodel 'channels_2' has diverged")
    assert [run.config["optimizer"]["lr"] for run in found] == [0.01, 1e30, 0.02]
    assert len({run.config["training_id"] for run in found}) == 3
    assert found[2].values("ESR_packed_0") != found[0].values("ESR_packed_0")


def test_config_and_summary_hold_what_the_run_directory_says(sweep: Path, run: OfflineRun) -> None:
    summary = read_json(sweep / "0" / "summary.json")
    resolved = OmegaConf.to_container(OmegaConf.load(sweep / "0" / "config.yaml"))
    assert isinstance(resolved, dict)
    assert {key: run.config[key] for key in resolved} == resolved
    for key in ("training_id", "audio_sha256", "git", "receptive_field", "sample_rate", "versions"):
        assert run.config[key] == summary[key]
    assert (run.run.job_type, set(run.run.tags)) == ("train", {"packed_wavenet", "mine"})
    for suffix, entry in zip(SUFFIXES, summary["submodels"], strict=True):
        for name in ("ESR", "MRSTFT", "MSE", "val_loss"):
            assert run.summary[f"exported/{name}{suffix}"] == pytest.approx(entry[name], rel=1e-12)
        for name in ("parameters", "macs_per_sample"):
            assert run.summary[f"model/{name}{suffix}"] == entry[name]
            assert run.config["submodels"][entry["index"]][name] == entry[name]
    assert [run.summary[f"model/max_value{s}"] for s in SUFFIXES] == [0.3, 1.0]
    assert run.summary["interrupted"] is False


def test_the_history_is_that_of_metrics_csv(sweep: Path, run: OfflineRun) -> None:
    rows = read_metrics(sweep / "0" / "metrics.csv")
    names = [name for name in rows[0] if name not in ("epoch", "step")]
    assert {f"{m}{s}" for m in ("ESR", "MSE", "MRSTFT", "val_loss") for s in ("", *SUFFIXES)} < set(names)
    assert {"train/loss", "train/lr", "train/grad_norm"} < set(names)
    for name in names:
        expected = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        told = [(row["trainer/global_step"], row[name]) for row in run.history if name in row]
        assert told == expected
        if not name.startswith("train/"):
            assert run.summary[name] == {"min": min(value for _, value in expected)}


def test_what_is_heard_is_what_the_exported_model_plays(folder: Path, sweep: Path, run: OfflineRun) -> None:
    x, y = (read_wav(folder / name).samples for name in ("x.wav", "y.wav"))
    heard = {key: _sounds(run, key) for key in ("audio/input", "audio/target")}
    (input_,), (target,) = heard["audio/input"], heard["audio/target"]  # once
    assert input_.size == RATE // 2
    (start,) = [n for n in range(5 * RATE, 6 * RATE - input_.size + 1) if _alike(x, n, input_)]
    assert _alike(y, start, target)
    played = load_playable(sweep / "0" / "model.nam").play(torch.from_numpy(x)).numpy()
    for i, suffix in enumerate(SUFFIXES):
        predictions, differences = (_sounds(run, f"audio/{w}{suffix}") for w in ("prediction", "difference"))
        assert len(predictions) == len(differences) == 3  # two validations and the end
        assert _alike(played[i], start, predictions[-1])
        for prediction, difference in zip(predictions, differences, strict=True):
            np.testing.assert_allclose(difference, prediction - target, atol=3 * 2**-15)
        assert np.abs(predictions[0] - predictions[-1]).max() > 0.01, "it has learned in between"


def _sounds(run: OfflineRun, key: str) -> list[np.ndarray]:
    sounds = run.values(key)
    assert all((sound["_type"], bool(sound["caption"])) == ("audio-file", True) for sound in sounds)
    recordings = [read_wav(run.file(sound)) for sound in sounds]
    assert all(recording.sample_rate == RATE for recording in recordings)
    return [recording.samples for recording in recordings]


def _alike(whole: np.ndarray, start: int, part: np.ndarray) -> bool:
    return bool(np.abs(whole[start : start + part.size] - part).max() < 2**-14)


def test_pictures_table_and_files_are_those_of_the_run_directory(sweep: Path, run: OfflineRun) -> None:
    job = sweep / "0"
    pictures = {
        "pictures/comparison": "comparison.png",
        "pictures/spectrogram_packed_0": "comparison_spectrogram_packed_0.png",
        "pictures/spectrogram_packed_1": "comparison_spectrogram_packed_1.png",
    }
    for key, name in pictures.items():
        (picture,) = run.values(key)
        assert run.file(picture).read_bytes() == (job / name).read_bytes()
    summary = read_json(job / "summary.json")
    (table,) = run.values("submodels")
    content = json.loads(run.file(table).read_text())
    rows = [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
    for row, entry, max_value in zip(rows, summary["submodels"], (0.3, 1.0), strict=True):
        same = ("name", "parameters", "macs_per_sample", "ESR", "MRSTFT", "MSE", "val_loss", "best_epoch")
        assert {key: row[key] for key in same} == pytest.approx({key: entry[key] for key in same})
        assert (row["channels"], row["max_value"]) == (str(entry["channels"]), max_value)
    files = {a.type: {c.path: c.size for c in a.manifest.contents} for a in run.artifacts}
    sizes = {
        "model": ["model.nam", "summary.json", "config.yaml"],
        "checkpoint": ["packed_best.json", *(f"packed_best_submodel_{i}.ckpt" for i in (0, 1))],
    }
    for kind, names in sizes.items():
        assert files[kind] == {name: (job / name).stat().st_size for name in names}
    metadata = {a.type: json.loads(a.metadata) for a in run.artifacts if a.type in sizes}
    assert metadata["model"]["training_id"] == summary["training_id"]


# --- the dashboard --------------------------------------------------------------------------------


def _dashboard(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "dashboard.py"), *arguments],
        cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def _named_keys(node: Any) -> Iterator[str]:
    """Every key of history or summary that a panel, an axis or a column names."""
    if isinstance(node, list):
        for item in node:
            yield from _named_keys(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ("metrics", "mediaKeys"):
            yield from value
        elif key in ("xAxis", "yAxis", "zAxis") and value != "_step":
            yield value.removeprefix("summary:")
        elif key == "columnPinned":
            yield from (column.removeprefix("summary:") for column in value if column.startswith("summary:"))
        elif key == "args" and any(arg["name"] == "tableKey" for arg in value):
            yield from (arg["value"] for arg in value)
        else:
            yield from _named_keys(value)


def test_every_key_of_the_dashboard_is_one_that_is_logged(folder: Path, sweep: Path, run: OfflineRun) -> None:
    printed = _dashboard(folder, "--entity", "me", "--project", "amps", "--dry-run", str(sweep))
    assert printed.returncode == 0, printed.stderr
    specification = json.loads(printed.stdout)
    assert (specification["entity"], specification["project"]) == ("me", "amps")
    named = set(_named_keys(specification))
    assert named <= run.logged_keys()
    wanted = {f"{m}{s}" for m in ("ESR", "val_loss", "MRSTFT") for s in SUFFIXES}
    wanted |= {f"{m}{s}" for m in ("exported/ESR", "model/macs_per_sample") for s in SUFFIXES}
    wanted |= {f"audio/{w}{s}" for w in ("prediction", "difference") for s in SUFFIXES}
    wanted |= {"audio/input", "audio/target", "pictures/comparison", "submodels", "trainer/global_step"}
    wanted |= {"train/loss", "train/lr", "train/grad_norm", *(f"pictures/spectrogram{s}" for s in SUFFIXES)}
    assert named == wanted
    sections = specification["spec"]["section"]["panelBankConfig"]["sections"]
    charts = [panel for section in sections for panel in section["panels"] if panel["viewType"] == "Vega2"]
    (table,) = run.values("submodels")
    columns = json.loads(run.file(table).read_text())["columns"]
    assert [set(chart["config"]["fieldSettings"].values()) <= set(columns) for chart in charts] == [True]
    (runs,) = specification["spec"]["section"]["runSets"]
    (group,) = runs["filters"]["filters"]
    assert (group["key"], group["op"], group["value"]) == (
        {"section": "run", "name": "group"}, "=", run.run.run_group,
    )  # fmt: skip
    by_number = _dashboard(
        folder, "--entity", "me", "--project", "amps", "--dry-run", "--submodels", "2", "--group", "plexi"
    )
    assert set(_named_keys(json.loads(by_number.stdout))) == named


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--submodels", "2"], "--entity is missing"),
        (["--entity", "me"], "give either a run or sweep directory or --submodels N"),
        (["--entity", "me", "nowhere"], "nowhere: holds no summary.json"),
        (["--entity", "me", "--submodels", "2"], "the dashboard: there is no W&B API key for"),
    ],
    ids=["no entity", "no submodels", "no run", "no account"],
)
def test_a_dashboard_that_cannot_be_is_one_line(folder: Path, arguments: list[str], expected: str) -> None:
    failed = _dashboard(folder, *arguments)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert len(failed.stderr.strip().splitlines()) == 1
    assert expected in failed.stderr


@pytest.mark.parametrize(
    ("model", "suffixes"),
    [(["model=wavenet_nano", "model.channels=4"], [""]),
     (["model=slimmable", "model.channels=[2,4]"], ["_channels_2", "_channels_4"])],
    ids=["wavenet", "slimmable"],
)  # fmt: skip
def test_the_same_holds_for_one_size_and_for_many(
    folder: Path, tmp_path: Path, model: list[str], suffixes: list[str]
) -> None:
    small = [o for o in SMALL if not o.startswith(("model=", "model.channels", "export"))]
    finished = subprocess.run(
        [sys.executable, "-m", "namexp.train", *model, *small, f"hydra.run.dir={tmp_path / 'run'}",
         "data.input=x.wav", "data.target=y.wav", "logger=wandb", "logger.project=amps", "logger.group=g"],
        cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    (run,) = offline_runs(tmp_path / "run")
    printed = _dashboard(folder, "--entity", "me", "--dry-run", str(tmp_path / "run"))
    specification = json.loads(printed.stdout)
    assert specification["project"] == "amps"
    assert specification["spec"]["section"]["runSets"][0]["filters"]["filters"][0]["value"] == "g"
    named = set(_named_keys(specification))
    assert named <= run.logged_keys()
    assert {f"{k}{s}" for k in ("ESR", "audio/prediction", "model/macs_per_sample") for s in suffixes} < named
    files = {a.type: {c.path for c in a.manifest.contents} for a in run.artifacts}
    assert files["checkpoint"] == {"best.ckpt"}
    (table,) = run.values("submodels")
    assert len(json.loads(run.file(table).read_text())["data"]) == len(suffixes)


# --- without a fit --------------------------------------------------------------------------------


def test_a_job_that_takes_over_a_training_is_a_run_too(
    sweep: Path, run: OfflineRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in _environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    layout = RunLayout(tmp_path / "again")
    shutil.copytree(sweep / "0", layout.root, ignore=shutil.ignore_patterns("wandb*", "*.ckpt"))
    summary = {**read_json(layout.summary), "reused_from": "../0"}
    write_json(layout.summary, summary)
    resolved = OmegaConf.to_container(OmegaConf.load(layout.config))
    assert isinstance(resolved, dict)
    config = parse_experiment(resolved)  # type: ignore[arg-type]
    training = Training(
        config=config,
        resolved=resolved,  # type: ignore[arg-type]
        recordings=load_recordings(config.data, receptive_field=config.plan.receptive_field),
        network=build_network(config.plan, seed=0),
        layout=layout,
        description={},
    )
    for _ in range(2):  # the second time it is the same run, continued: nothing is heard twice
        with tracked(training) as told:
            tell_outcome(told, summary, None)
    again, continued = offline_runs(layout.root)
    assert again.run.run_id == continued.run.run_id != run.run.run_id
    assert [len(part.values("audio/input")) for part in (again, continued)] == [1, 0]
    for key in ("exported/ESR_packed_0", "model/max_value_packed_1", "ESR_packed_0"):
        assert again.summary[key] == run.summary[key]
    assert again.summary["reused_from"] == "../0"
    assert again.values("ESR_packed_0") == run.values("ESR_packed_0")
    assert len(again.values("submodels")) == 1
    kept = {a.type: {c.path for c in a.manifest.contents} for a in again.artifacts}
    assert kept["model"] == {"model.nam", "summary.json", "config.yaml"}
    assert kept["checkpoint"] == {"packed_best.json"}


# --- other loggers --------------------------------------------------------------------------------


def test_tensorboard_and_metrics_csv_say_the_same(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    finished = _train(folder, "hydra.run.dir=tb", "logger=tensorboard", "callbacks.plots=false")
    assert finished.returncode == 0, finished.stderr
    found = EventAccumulator(str(folder / "tb" / "tensorboard")).Reload()
    rows = read_metrics(folder / "tb" / "metrics.csv")
    for name in ("ESR_packed_1", "val_loss", "train/loss"):
        expected = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        assert [(e.step, e.value) for e in found.Scalars(name)] == expected
    assert len(found.Audio("audio/prediction_packed_0")) == 1  # the end
    assert not (folder / "tb" / "wandb").exists()


def test_only_a_logger_that_is_chosen_is_imported() -> None:
    code = (
        "import sys, namexp.experiment, namexp.evaluate, namexp.export\n"
        "print([name for name in ('wandb', 'tensorboard', 'wandb_workspaces') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_nothing_is_asked_on_a_terminal(folder: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    import pty

    ours, terminal = pty.openpty()
    command: Callable[..., Any] = subprocess.run
    finished = command(
        [sys.executable, "-m", "namexp.train", *SMALL, "logger=wandb", "logger.mode=online",
         "data.input=x.wav", "data.target=y.wav", "hydra.run.dir=online"],
        cwd=folder, env=_environment(folder), stdin=terminal, stdout=terminal, stderr=terminal, timeout=300,
    )  # fmt: skip
    os.close(terminal)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert finished.returncode == 1
    assert shown.startswith("namexp.train: logger.mode (= online): there is no W&B API key for ")
    assert len(shown.strip().splitlines()) == 1
    assert not list((folder / "online").rglob("*.ckpt"))

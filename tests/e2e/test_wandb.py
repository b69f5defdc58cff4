"""A sweep that W&B is told of, offline and in one process, read back to the last sample."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from namexp.audio.wav import read_wav
from namexp.runs.files import read_json
from namexp.runs.metrics import read_metrics
from namexp.tasks.capture.weights.playable import load_playable
from tests.e2e.conftest import RATE
from tests.e2e.told import PACK, dashboard, named_keys, train
from tests.offline_run import OfflineRun, offline_runs

pytestmark = pytest.mark.e2e

SUFFIXES = ("_packed_0", "_packed_1")


@pytest.fixture(scope="module")
def sweep(recording: Path) -> Path:
    """Four jobs in one process: two that diverge, one that trains, and one that shares its training."""
    finished = train(
        recording, "-m", "hydra.sweep.dir=plexi", *PACK, "optimizer.lr=1e30,0.01",
        "export.container_max_values=[0.3,1.0],uniform", "logger=wandb",
        "logger.audio_every_n_validations=1", "logger.audio_seconds=0.5", "logger.tags=[mine]",
    )  # fmt: skip
    assert finished.returncode == 1, finished.stderr
    return recording / "plexi"


@pytest.fixture(scope="module")
def run(sweep: Path) -> OfflineRun:
    """What the job that trains has told."""
    (found,) = offline_runs(sweep / "2")
    return found


# --- a sweep --------------------------------------------------------------------------------------


def test_jobs_of_one_process_are_runs_of_one_group(sweep: Path) -> None:
    found = []
    for job in ("0", "1", "2", "3"):
        (run,) = offline_runs(sweep / job)  # one each
        assert (sweep / job / "wandb_id.txt").read_text().strip() == run.run.run_id
        found.append(run)
    assert len({run.run.run_id for run in found}) == 4
    assert [run.run.run_group for run in found] == ["plexi"] * 4
    lrs, thresholds = ("1e+30", "1e+30", "0.01", "0.01"), ("[0.3,1.0]", "uniform") * 2
    assert [run.run.display_name for run in found] == [
        f"{i}: lr={lr} container_max_values={t}"
        for i, (lr, t) in enumerate(zip(lrs, thresholds, strict=True))
    ]
    assert [run.exit_code for run in found] == [1, 1, 0, 0]
    assert found[1].summary["error"].startswith("UserError: submodel 'channels_2' has diverged")
    assert [run.config["optimizer"]["lr"] for run in found] == [1e30, 1e30, 0.01, 0.01]


def test_a_job_that_shares_a_training_is_a_run_too(sweep: Path, run: OfflineRun) -> None:
    (shared,) = offline_runs(sweep / "3")
    assert (run.summary["reused_from"], shared.summary["reused_from"]) == ("", "../2")
    assert shared.config["training_id"] == run.config["training_id"]
    for name in ("ESR_packed_0", "val_loss", "train/loss"):
        assert shared.values(name) == run.values(name)
        assert shared.summary[name] == run.summary[name]
    assert [shared.summary[f"model/max_value{s}"] for s in SUFFIXES] == [0.5, 1.0]
    for key in ("exported/ESR_packed_1", "exported/val_loss_packed_0"):
        assert shared.summary[key] == run.summary[key]
    assert len(shared.values("audio/prediction_packed_1")) == 1  # the end
    for key in ("submodels", "pictures/comparison", "pictures/spectrogram_packed_0", "audio/target"):
        assert len(shared.values(key)) == 1
    assert {a.type for a in shared.artifacts} == {a.type for a in run.artifacts}


def test_config_and_summary_hold_what_the_run_directory_says(sweep: Path, run: OfflineRun) -> None:
    summary = read_json(sweep / "2" / "summary.json")
    resolved = OmegaConf.to_container(OmegaConf.load(sweep / "2" / "config.yaml"))
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
    rows = read_metrics(sweep / "2" / "metrics.csv")
    names = [name for name in rows[0] if name not in ("epoch", "step")]
    assert {f"{m}{s}" for m in ("ESR", "MSE", "MRSTFT", "val_loss") for s in ("", *SUFFIXES)} < set(names)
    assert {"train/loss", "train/lr", "train/grad_norm"} < set(names)
    for name in names:
        expected = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        told = [(row["trainer/global_step"], row[name]) for row in run.history if name in row]
        assert told == expected
        if not name.startswith("train/"):
            assert run.summary[name] == {"min": min(value for _, value in expected)}


def test_what_is_heard_is_what_the_exported_model_plays(
    recording: Path, sweep: Path, run: OfflineRun
) -> None:
    x, y = (read_wav(recording / name).samples for name in ("x.wav", "y.wav"))
    heard = {key: _sounds(run, key) for key in ("audio/input", "audio/target")}
    (input_,), (target,) = heard["audio/input"], heard["audio/target"]  # once
    assert input_.size == RATE // 2
    (start,) = [n for n in range(5 * RATE, 6 * RATE - input_.size + 1) if _alike(x, n, input_)]
    assert _alike(y, start, target)
    played = load_playable(sweep / "2" / "model.nam").play(torch.from_numpy(x)).numpy()
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
    job = sweep / "2"
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


def test_every_key_of_the_dashboard_is_one_that_is_logged(
    recording: Path, sweep: Path, run: OfflineRun
) -> None:
    printed = dashboard(recording, "--entity", "me", "--project", "amps", "--dry-run", str(sweep))
    assert printed.returncode == 0, printed.stderr
    specification = json.loads(printed.stdout)
    assert (specification["entity"], specification["project"]) == ("me", "amps")
    named = set(named_keys(specification))
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
    by_number = dashboard(
        recording, "--entity", "me", "--project", "amps", "--dry-run", "--submodels", "2", "--group", "plexi"
    )
    assert set(named_keys(json.loads(by_number.stdout))) == named


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
def test_a_dashboard_that_cannot_be_is_one_line(recording: Path, arguments: list[str], expected: str) -> None:
    failed = dashboard(recording, *arguments)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert len(failed.stderr.strip().splitlines()) == 1
    assert expected in failed.stderr

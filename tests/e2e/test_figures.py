"""One number for one thing: MRSTFT, MSE and ESR are the recording's own in all places that tell them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from namexp.audio.level import rms
from namexp.audio.wav import write_wav
from namexp.comparison.page import write_report
from namexp.conf_dir import conf_dir
from namexp.engine import experiment
from namexp.models.streaming import respond
from namexp.runs.files import read_json
from namexp.runs.metrics import read_metrics
from namexp.schema.experiment import resolved_config
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.capture.data.recordings import load_recordings
from namexp.tasks.capture.evaluating import evaluate_files
from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.metrics import recording_metrics
from namexp.tasks.capture.weights.stored import load_stored
from namexp.tasks.known import parse_experiment, task_of
from tests.e2e.conftest import RATE, synthetic_pair

pytestmark = pytest.mark.e2e

FIGURES = ("ESR", "MRSTFT", "MSE")
SETTINGS = [
    "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2], activation: LeakyReLU}]", "loss=a2",
    "data.ny=1100", "data.validation_seconds=1.0", "trainer.max_epochs=2", "callbacks=quiet",
    "callbacks.plots=false", "callbacks.audio=false", "logger=csv",
]  # fmt: skip
MODELS = {
    "packed": ["model=packed_wavenet_small", "model.channels=[1,2]"],
    "slimmable": ["model=slimmable", "model.channels=[1,2]"],
    "wavenet": ["model=wavenet_nano", "model.channels=2"],
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A target 40 dB below the level of training: MRSTFT feels that."""
    folder = tmp_path_factory.mktemp("pair")
    x, y = synthetic_pair(3.0)
    y = y * np.float32(10 ** (-58 / 20) / rms([y]))
    for name, samples in (("x.wav", x), ("y.wav", y)):
        write_wav(folder / name, samples, RATE)
    return folder / "x.wav", folder / "y.wav"


def _config(pair: tuple[Path, Path], *overrides: str) -> tuple[CaptureConfig, dict[str, Any]]:
    files = [f"data.input={pair[0]}", f"data.target={pair[1]}"]
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        cfg = compose("train", [*overrides, *SETTINGS, *files])
    config = parse_experiment(cfg)
    assert isinstance(config, CaptureConfig)
    return config, resolved_config(cfg, CaptureConfig)


def _train(pair: tuple[Path, Path], root: Path, *overrides: str) -> CaptureLayout:
    config, resolved = _config(pair, *overrides)
    torch.set_num_threads(1)
    experiment.run(task_of(config), config, resolved, root)
    return CaptureLayout(root)


def _sizes(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The metadata of every size of a .nam."""
    if document["architecture"] == "SlimmableContainer":
        return [entry["model"]["metadata"] for entry in document["config"]["submodels"]]
    return [document["metadata"]]


@pytest.mark.parametrize("data", ["normalized", "raw"])
@pytest.mark.parametrize("kind", MODELS)
def test_summary_page_file_table_and_evaluate_agree(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, data: str
) -> None:
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    run = _train(pair, tmp_path / "run", f"data={data}", *MODELS[kind])
    summary = read_json(run.summary)
    evaluated = evaluate_files(run.root, *pair)
    write_report([run.root], tmp_path / "page")
    told = read_json(tmp_path / "page" / "report.json")
    (shown,) = told["runs"]
    files = _sizes(json.loads(run.nam.read_text()))
    assert len(summary["submodels"]) == len(evaluated) == len(shown["submodels"])

    # evaluate scores the whole recording: the validation part of its own gives what the summary says
    config, _ = _config(pair, f"data={data}", *MODELS[kind])
    tail = _tail(pair, tmp_path, config)
    for row, own in enumerate(evaluate_files(run.root, *tail)):
        for name in FIGURES:
            assert summary["submodels"][row][name] == pytest.approx(own[name], rel=1e-5)
            assert shown["submodels"][row][name.lower()] == summary["submodels"][row][name]
    for metadata, entry in zip(files, summary["submodels"][-len(files) :], strict=True):
        training = metadata["training"]
        assert training["validation_mrstft"] == entry["MRSTFT"]
        assert training["validation_esr"] == entry["ESR"]
    rows = [row for row in read_metrics(run.metrics) if row["val_loss"]]
    for entry in summary["submodels"]:
        best = rows[entry["best_epoch"]]
        for name in FIGURES:
            # float32 in the table
            assert float(best[f"{name}{entry['metric_suffix']}"]) == pytest.approx(entry[name], rel=1e-5)


def _tail(pair: tuple[Path, Path], folder: Path, config: CaptureConfig) -> tuple[Path, Path]:
    """The validation part by itself, as recorded."""
    recordings = load_recordings(config.data, receptive_field=config.plan.receptive_field)
    (part,) = recordings.validation
    write_wav(folder / "tail_x.wav", part.input, RATE)
    write_wav(folder / "tail_y.wav", part.target / np.float32(recordings.target_scale), RATE)
    return folder / "tail_x.wav", folder / "tail_y.wav"


def test_what_selects_is_as_it_was_trained(
    pair: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    figures = {}
    for val_loss in ("mse", "mrstft"):
        overrides = ["data=normalized", f"loss.val_loss={val_loss}", *MODELS["packed"]]
        run = _train(pair, tmp_path / val_loss, *overrides)
        config, _ = _config(pair, *overrides)
        recordings = load_recordings(config.data, receptive_field=config.plan.receptive_field)
        (part,) = recordings.validation
        R = config.plan.receptive_field
        prediction = respond(load_stored(run).network, torch.from_numpy(part.input)[None])[0]
        trained_at = recording_metrics([(prediction, torch.from_numpy(part.target[R - 1 :]))])
        for row, entry in enumerate(read_json(run.summary)["submodels"]):
            expected = trained_at[val_loss.upper()][row].item()
            assert entry["val_loss"] == pytest.approx(expected, rel=1e-6)
            figures[val_loss, row] = entry["val_loss"], entry[val_loss.upper()]
    scale = recordings.target_scale
    assert scale > 50
    for row in range(2):
        selecting, reported = figures["mse", row]
        assert reported == pytest.approx(selecting / scale**2, rel=1e-9)
        selecting, reported = figures["mrstft", row]
        assert abs(selecting - reported) > 0.01 * reported, "or the level would not matter here"

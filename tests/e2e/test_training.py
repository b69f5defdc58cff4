"""Recording in, verified file out: every kind of model learns, exports and plays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from namexp.audio.wav import read_wav, write_wav
from namexp.engine.checkpoint import load_checkpoint
from namexp.nam.metadata import measure_loudness
from namexp.nam.model import read_nam
from namexp.runs.metrics import read_metrics
from namexp.tasks.capture.weights.playable import load_playable
from tests.e2e.conftest import RATE, synthetic_pair, wait_until

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]
SMALL = [
    "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2,4,8], activation: LeakyReLU}]",
    "data.ny=1100", "data.batch_size=8", "data.validation_seconds=1.0", "optimizer.lr=0.01",
    "model.head_scale=0.1",
]  # fmt: skip
KINDS = {
    "packed": ["model=packed_wavenet_small", "model.channels=[2,4]", "export.container_max_values=[0.3,1.0]"],
    "wavenet": ["model=wavenet_nano", "model.channels=4"],
    "slimmable": ["model=slimmable", "model.channels=[2,4]"],
}  # fmt: skip


def _train(command: Run, pair: tuple[Path, Path], kind: str, *more: str) -> Path:
    run = pair[0].parent / "run"
    finished = command(
        "train", *KINDS[kind], *SMALL, f"data.input={pair[0]}", f"data.target={pair[1]}",
        f"hydra.run.dir={run}", "callbacks.progress=false", *more,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert "MACs/sample" in finished.stdout
    assert "model.nam" in finished.stdout
    return run


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_exports_and_reloads(command: Run, pair: tuple[Path, Path], kind: str) -> None:
    run = _train(command, pair, kind, "trainer.max_epochs=8", "data=normalized")
    summary = json.loads((run / "summary.json").read_text())
    rows = [row for row in read_metrics(run / "metrics.csv") if row["val_loss"]]
    assert len(rows) == 8
    esr = [s["ESR"] for s in summary["submodels"]]
    assert max(esr) < 0.5, "every size has learned"
    assert float(rows[0]["ESR"]) > 1.5 * np.mean(esr)
    suffixes = {
        "packed": ["_packed_0", "_packed_1"],
        "wavenet": [""],
        "slimmable": ["_channels_2", "_channels_4"],
    }
    for i, suffix in enumerate(suffixes[kind]):
        best = min(float(r[f"val_loss{suffix}"]) for r in rows)
        if kind == "packed":  # each submodel from its own best epoch
            assert summary["submodels"][i]["val_loss"] == pytest.approx(best, rel=1e-4)
        for name in ("ESR", "MSE", "MRSTFT"):
            assert rows[-1][f"{name}{suffix}"]
    if len(suffixes[kind]) > 1:
        each = [float(rows[-1][f"ESR{s}"]) for s in suffixes[kind]]
        assert float(rows[-1]["ESR"]) == pytest.approx(np.mean(each), rel=1e-5), "a mean, not a sum"
    for file in ("config.yaml", "status.json", "model.nam", "comparison.png", "checkpoints/last.ckpt"):
        assert (run / file).stat().st_size > 0
    assert json.loads((run / "status.json").read_text())["state"] == "done"

    inspected = command("inspect", run / "model.nam", "--json")
    assert inspected.returncode == 0
    assert json.loads(inspected.stdout)["warnings"] == []
    checked = command("evaluate", run, pair[0], pair[1], "--json", run / "e.json")
    assert checked.returncode == 0, checked.stderr
    assert len(json.loads((run / "e.json").read_text())["submodels"]) == len(esr)
    _same_everywhere(run, pair)
    if kind == "packed":
        _exported_again(command, run)


def _same_everywhere(run: Path, pair: tuple[Path, Path]) -> None:
    """The file, the run directory without it and the validation part say the same."""
    x, y = (torch.from_numpy(read_wav(p).samples) for p in pair)
    file = load_playable(run)
    (run / "model.nam").rename(run / "aside.nam")
    state = load_playable(run)
    (run / "aside.nam").rename(run / "model.nam")
    played = file.play(x)
    torch.testing.assert_close(state.play(x), played, rtol=0, atol=1e-6 * float(played.abs().max()))
    summary = json.loads((run / "summary.json").read_text())
    R = summary["receptive_field"]
    border = len(x) - RATE
    for row, entry in zip(file.play(x[border:]), summary["submodels"], strict=True):
        error = (row[R - 1 :] - y[border + R - 1 :]).double().pow(2).sum()
        esr = float(error / y[border + R - 1 :].double().pow(2).sum())
        assert esr == pytest.approx(entry["ESR"], rel=1e-4)


def _exported_again(command: Run, run: Path) -> None:
    before = json.loads((run / "model.nam").read_text())
    assert [s["max_value"] for s in before["config"]["submodels"]] == [0.3, 1.0]
    again = command(
        "export", run, "-o", run / "again.nam", "--container-max-values", "0.7,0.9",
        "--metadata", "name=Amp", "--metadata", "input_level_dbu=12.5",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    after = json.loads((run / "again.nam").read_text())
    assert [s["max_value"] for s in after["config"]["submodels"]] == [0.7, 1.0]
    for a, b in zip(before["config"]["submodels"], after["config"]["submodels"], strict=True):
        assert a["model"]["weights"] == b["model"]["weights"]
    assert (after["metadata"]["name"], after["metadata"]["input_level_dbu"]) == ("Amp", 12.5)
    best = json.loads((run / "packed_best.json").read_text())["submodels"]
    assert [b["submodel_name"] for b in best] == ["channels_2", "channels_4"]
    for i, entry in enumerate(best):
        assert set(entry) == {
            "submodel_index", "submodel_name", "best_metric", "epoch", "step", "checkpoint_path"
        }  # fmt: skip
        content = load_checkpoint(run / entry["checkpoint_path"])
        assert content["namexp"]["submodel_index"] == i
    bad = command("export", run, "--container-max-values", "1.0,1.0")
    assert (bad.returncode, "Traceback" in bad.stderr) == (1, False)
    assert "[1.0, 1.0]" in bad.stderr


def test_the_same_seed_gives_the_same_file(command: Run, pair: tuple[Path, Path]) -> None:
    weights = []
    for name in ("a", "b"):
        run = _train(
            command, pair, "packed", "trainer.max_epochs=1", f"hydra.run.dir={pair[0].parent / name}"
        )
        del run
        document = json.loads((pair[0].parent / name / "model.nam").read_text())
        weights.append([s["model"]["weights"] for s in document["config"]["submodels"]])
    assert weights[0] == weights[1]


@pytest.mark.parametrize("kind", ["packed", "wavenet"])
@pytest.mark.parametrize("source", ["single", "list"])
def test_normalisation_is_undone(command: Run, tmp_path: Path, kind: str, source: str) -> None:
    # Recordings of known level: the RMS of all training targets together is brought to -18 dBFS.
    x, y = synthetic_pair(6.0)
    y = 0.25 * y
    write_wav(tmp_path / "x.wav", x, RATE)
    write_wav(tmp_path / "y.wav", y, RATE)
    train = y[: 5 * RATE].astype(np.float64)
    energy, count = float(train @ train), train.size
    overrides = [f"data.input={tmp_path / 'x.wav'}", f"data.target={tmp_path / 'y.wav'}"]
    if source == "list":
        x2, y2 = synthetic_pair(3.0, seed=1)
        write_wav(tmp_path / "x2.wav", x2, RATE)
        write_wav(tmp_path / "y2.wav", y2, RATE)
        train2 = y2[: 2 * RATE].astype(np.float64)
        energy, count = energy + float(train2 @ train2), count + train2.size
        pairs = ",".join(
            f"{{input: {tmp_path / f'x{i}.wav'}, target: {tmp_path / f'y{i}.wav'}}}" for i in ("", 2)
        )
        overrides = [f"data.pairs=[{pairs}]"]
    scale = 10 ** (-18 / 20) / np.sqrt(energy / count)
    run = tmp_path / "run"
    finished = command(
        "train", *KINDS[kind], *SMALL, *overrides, f"hydra.run.dir={run}", "trainer.max_epochs=2",
        "callbacks=quiet",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    document = json.loads((run / "model.nam").read_text())
    models = [document] if kind == "wavenet" else [s["model"] for s in document["config"]["submodels"]]
    read = read_nam(run / "model.nam")
    for model, loaded in zip(models, read.submodels or [read], strict=True):
        assert model["config"]["head_scale"] == pytest.approx(0.1 / scale, rel=1e-6)
        assert model["weights"][-1] == pytest.approx(0.1 / scale, rel=1e-6)
        measured = measure_loudness(loaded.network)[0].loudness
        assert measured == pytest.approx(model["metadata"]["loudness"], abs=1e-3)
    assert document["metadata"]["loudness"] == models[-1]["metadata"]["loudness"]


def test_raw_data_leave_head_scale_as_configured(command: Run, pair: tuple[Path, Path]) -> None:
    run = _train(command, pair, "packed", "data=raw", "trainer.max_epochs=1", "callbacks.plots=false")
    for submodel in json.loads((run / "model.nam").read_text())["config"]["submodels"]:
        assert submodel["model"]["config"]["head_scale"] == 0.1


def test_a_finished_run_is_not_trained_over(command: Run, pair: tuple[Path, Path]) -> None:
    run = _train(command, pair, "wavenet", "trainer.max_epochs=1", "callbacks.plots=false")
    before = (run / "model.nam").read_bytes()
    again = command(
        "train", *KINDS["wavenet"], *SMALL, f"data.input={pair[0]}", f"data.target={pair[1]}",
        f"hydra.run.dir={run}",
    )  # fmt: skip
    assert again.returncode == 1
    assert "holds a training already" in again.stderr
    assert (run / "model.nam").read_bytes() == before
    assert json.loads((run / "status.json").read_text())["state"] == "done"


def test_ctrl_c_exports_the_best_so_far(pair: tuple[Path, Path]) -> None:
    run = pair[0].parent / "run"
    arguments = [
        *KINDS["packed"], *SMALL, f"data.input={pair[0]}", f"data.target={pair[1]}",
        f"hydra.run.dir={run}", "trainer.max_epochs=100000", "callbacks.progress=false",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        wait_until((run / "checkpoints" / "last.ckpt").exists, process)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert len(read_nam(run / "model.nam").submodels) == 2
    assert json.loads((run / "summary.json").read_text())["epochs"] >= 1


def test_the_runtimes_player_plays_our_exports(command: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    player = os.environ.get("NAM_CORE_RENDER")
    if not player:
        pytest.skip("NAM_CORE_RENDER does not name the C++ runtime's render program")
    run = _train(command, pair, "packed", "trainer.max_epochs=1", "callbacks.plots=false")
    for row, slim in enumerate((0.1, 0.9)):
        output = tmp_path / f"{row}.wav"
        subprocess.run(
            [player, "--slim", str(slim), str(run / "model.nam"), str(pair[0]), str(output)],
            check=True, timeout=120,
        )  # fmt: skip
        ours: Any = load_playable(run).play(torch.from_numpy(read_wav(pair[0]).samples))[row].numpy()
        np.testing.assert_allclose(read_wav(output).samples, ours, rtol=0, atol=1e-5 * np.abs(ours).max())

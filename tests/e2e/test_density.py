"""A density from images to pictures: trained, resumed, shared by processes, exported, evaluated."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from namexp.data.images import read_images
from namexp.engine.checkpoint import load_checkpoint
from namexp.runs.files import read_json
from namexp.runs.metrics import read_metrics
from namexp.tasks.density.data.items import WholeImages
from namexp.tasks.density.networks import bits_of
from namexp.tasks.density.weights.loading import load_density
from tests.unit.data.test_images import write_cifar10

pytestmark = pytest.mark.e2e


@pytest.fixture
def command(called: Callable[..., subprocess.CompletedProcess[str]]) -> Run:
    """In this process: another one would import everything anew."""
    return called


SETTINGS = [
    "model=density_tiny", "model.steps=2", "model.hidden_channels=8", "data.batch_size=16",
    "data.max_train_images=128", "data.max_validation_images=16", "callbacks=quiet", "trainer.max_epochs=3",
    "trainer.log_every_n_steps=1",
]  # fmt: skip
FILES = {
    "model.safetensors", "summary.json", "metrics.csv", "status.json", "config.yaml", "checkpoints/best.ckpt",
    "checkpoints/last.ckpt",
}  # fmt: skip
SHEETS = {
    f"pictures/{name}.png"
    for name in ("samples_060", "samples_080", "samples_100", "reconstructions", "interpolation")
}

Run = Callable[..., subprocess.CompletedProcess[str]]


def train(command: Run, *arguments: object) -> subprocess.CompletedProcess[str]:
    finished = command("train", *SETTINGS, *arguments)
    assert finished.returncode == 0, finished.stderr
    return finished


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = load_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    return state


def test_a_run_goes_on_bit_for_bit_and_shows_what_it_learned(command: Run, tmp_path: Path) -> None:
    said = train(command, "callbacks=default", "callbacks.progress=false", "hydra.run.dir=whole").stdout
    assert "glow (nanoflow)" in said
    whole = tmp_path / "whole"
    there = {str(path.relative_to(whole)) for path in whole.rglob("*") if path.is_file()}
    assert there >= FILES | SHEETS | {"report.html"}

    rows = read_metrics(whole / "metrics.csv")
    bits = [float(row["bpd"]) for row in rows if row["bpd"]]
    assert bits[0] > bits[1] > bits[2]
    step = next(row for row in rows if row["train/bpd"])
    parts = float(step["train/log_determinant"]) + float(step["train/log_prior"])
    assert float(step["train/bpd"]) == pytest.approx(8.0 - parts, abs=1e-5)
    assert [float(row["train/lr"]) for row in rows if row["train/lr"]][::8] == pytest.approx(
        [1e-4, 2e-4, 3e-4]
    )

    summary = read_json(whole / "summary.json")
    (entry,) = summary["submodels"]
    assert entry["bpd"] == pytest.approx(min(bits), abs=1e-6)
    assert [clip["picture"] for clip in summary["clips"]][:1] == ["pictures/samples_060.png"]
    assert summary["clips"][3]["largest_error_in_grey_levels"] < 0.01

    train(command, "trainer.max_epochs=1", "hydra.run.dir=cut")
    first = weights(tmp_path / "cut")
    resumed = command("train", "resume=cut", "trainer.max_epochs=3")
    assert resumed.returncode == 0, resumed.stderr
    ours, theirs = weights(tmp_path / "cut"), weights(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert not all(torch.equal(first[name], theirs[name]) for name in theirs)
    _commands(command, tmp_path)


def _commands(command: Run, folder: Path) -> None:
    """What a finished run is good for."""
    images = write_cifar10(folder / "cifar", per_file=4)
    done = command("evaluate", "whole", "cifar", "--json", "found.json")
    assert done.returncode == 0, done.stderr
    assert "test_batch.bin" in done.stdout
    found = json.loads((folder / "found.json").read_text())
    network = load_density(folder / "whole" / "checkpoints" / "best.ckpt").network
    whole = WholeImages(images[-4:], seed=0)
    expected = bits_of(network, [torch.stack([whole[i] for i in range(4)])])
    assert found["mean"]["bpd"] == pytest.approx(float(expected.mean()), abs=1e-6)
    assert found["sets"][0]["images"] == 4

    assert command("export", "whole", "-o", "again.safetensors").returncode == 0
    told = json.loads(command("inspect", "again.safetensors", "--json").stdout)
    assert told["model"]["estimator"] == "nanoflow"
    assert told["parameters"] == sum(p.numel() for p in network.parameters())
    assert told["bpd"] == read_json(folder / "whole" / "summary.json")["submodels"][0]["bpd"]
    for arguments, said in {
        ("synthesize", "whole", "a.wav", "out"): "makes them of noise alone",
        ("evaluate", "whole", "nowhere.npy"): "nowhere.npy: no such file",
    }.items():
        refused = command(*arguments)
        assert refused.returncode == 1, arguments
        assert said in refused.stderr, refused.stderr
        assert len(refused.stderr.splitlines()) == 1, refused.stderr

    started = train(command, "init_from=again.safetensors", "trainer.max_epochs=1", "hydra.run.dir=warm")
    assert started.returncode == 0
    bpd = read_json(folder / "warm" / "summary.json")["submodels"][0]["bpd"]
    assert bpd < read_json(folder / "whole" / "summary.json")["submodels"][0]["bpd"] + 0.1


def test_files_are_learned_from_and_processes_share_them(command: Run, tmp_path: Path) -> None:
    images = write_cifar10(tmp_path / "cifar", per_file=8)
    assert np.array_equal(read_images(tmp_path / "cifar" / "test_batch.bin"), images[-8:])
    settings = [
        "data=cifar10", "data.dir=cifar", "data.batch_size=8", "trainer.max_epochs=1",
        "trainer.precision='64'",
    ]  # fmt: skip
    train(command, *settings, "hydra.run.dir=one")
    summary = read_json(tmp_path / "one" / "summary.json")
    assert (summary["image_set"], summary["train_images"], summary["validation_images"]) == ("cifar10", 40, 8)
    train(command, *settings, "trainer=ddp", "trainer.accelerator=cpu", "hydra.run.dir=two")
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in one:
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=1e-9, msg=name)
    refused = command("train", *SETTINGS, "data=cifar10", "data.dir=nowhere", "hydra.run.dir=three")
    assert refused.returncode == 1
    assert "no such file or directory (data.dir)" in refused.stderr


def sweep_rows(folder: Path) -> list[dict[str, Any]]:
    return [read_json(path) for path in sorted(folder.glob("*/summary.json"))]


def test_every_kind_of_sharing_trains_in_a_sweep(command: Run, tmp_path: Path) -> None:
    finished = command(
        "train", "-m", *SETTINGS, "trainer.max_epochs=1", "data.max_train_images=32",
        "model.embedding_channels=0", "model.estimator=shallow,deep,naive,decomp", "hydra.sweep.dir=sweep",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    parameters = [row["submodels"][0]["parameters"] for row in sweep_rows(tmp_path / "sweep")]
    shallow, deep, naive, decomp = parameters
    assert naive < decomp < deep
    assert shallow not in (naive, decomp, deep)

"""Flows that synthesise, from clips to sound: trained, resumed, shared by processes, scored, played."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from namexp.audio.mel import log_mel
from namexp.audio.mel_scale import MelSpec
from namexp.conf_dir import conf_dir
from namexp.engine.checkpoint import load_checkpoint
from namexp.errors import UserError
from namexp.models.waveflow import negative_log_likelihood
from namexp.runs.files import read_json
from namexp.runs.metrics import read_metrics
from namexp.schema.composition import composed
from namexp.tasks.known import parse_experiment
from namexp.tasks.vocoder.flows.voice import load_flow
from tests.e2e.states import equal, stored
from tests.e2e.test_vocoder import Run, clip, write_clip

pytestmark = pytest.mark.e2e

CENTERED = MelSpec(centered=True)
SETTINGS = [
    "model=nanoflow_tiny", "model.n_height=8", "model.n_flow=3", "model.n_layer=2", "model.res_channels=4",
    "model.size_flow_embed=4", "data.segment_size=2048", "data.batch_size=4", "callbacks=quiet",
    "trainer.max_epochs=2", "trainer.limit_train_batches=3", "trainer.log_every_n_steps=1",
]  # fmt: skip


def train(command: Run, *arguments: object) -> None:
    finished = command("train", *SETTINGS, *arguments)
    assert finished.returncode == 0, finished.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    finished = subprocess.run(
        [sys.executable, "-m", "namexp.train", *SETTINGS, "callbacks=default", "hydra.run.dir=run"],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return folder / "run"


def test_the_likelihood_and_its_parts_are_logged(run: Path) -> None:
    rows = read_metrics(run / "metrics.csv")
    steps = [row for row in rows if row["train/loss"]]
    validations = [row for row in rows if row["val_loss"]]
    assert (len(steps), len(validations)) == (6, 2)
    for row in steps:
        values = {name: float(row[f"train/{name}"]) for name in ("loss", "ll", "prior", "logdet")}
        assert values["ll"] == pytest.approx(-values["loss"])
        assert values["prior"] + values["logdet"] == pytest.approx(values["ll"], abs=1e-5)
    assert float(steps[0]["train/ll"]) == pytest.approx(-0.92, abs=0.1)
    assert float(steps[0]["train/lr"]) == pytest.approx(0.001)
    assert all(float(row["ll"]) == -float(row["val_loss"]) for row in validations)
    summary = read_json(run / "summary.json")
    assert summary["task"] == "flow"
    assert summary["submodels"][0]["ll"] == pytest.approx(
        max(float(row["ll"]) for row in validations), abs=1e-4
    )
    assert (run / "audio" / "worst-0.6.flac").exists()


def test_resumed_it_equals_one_that_never_stopped(command: Run, tmp_path: Path) -> None:
    train(command, "trainer.max_epochs=3", "hydra.run.dir=whole")
    train(command, "trainer.max_epochs=1", "hydra.run.dir=cut")
    resumed = command("train", "resume=cut", "trainer.max_epochs=3")
    assert resumed.returncode == 0, resumed.stderr
    assert equal(stored(tmp_path / "cut"), stored(tmp_path / "whole"))


def test_two_processes_are_one(command: Run, tmp_path: Path) -> None:
    precise = ["trainer.precision='64'"]
    train(command, *precise, "hydra.run.dir=one")
    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    train(command, *precise, *ddp, "hydra.run.dir=two")
    one, two = (stored(tmp_path / name)["state_dict"] for name in ("one", "two"))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-6, atol=1e-9)


def test_evaluate_is_the_likelihood_of_whole_clips(command: Run, tmp_path: Path, run: Path) -> None:
    path = write_clip(tmp_path / "a.wav", clip(5000))
    done = command("evaluate", run, path, "--reference", "1.5", "--json", "e.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "e.json").read_text())
    audio = torch.from_numpy(soundfile.read(path, dtype="float32")[0])[None, : 5000 // 256 * 256]
    model = load_flow(run / "checkpoints" / "best.ckpt").network.double()
    with torch.no_grad():
        nll = negative_log_likelihood(*model(audio.double(), log_mel(audio.double(), CENTERED)))
    assert found["ll"] == pytest.approx(-float(nll), abs=1e-5)
    assert found["ll_gain"] == pytest.approx(found["ll"] - 1.5)


def test_the_noise_of_a_clip_gives_it_back(tmp_path: Path, run: Path) -> None:
    voice = load_flow(run)
    audio = torch.from_numpy(clip(4096))[None]
    mel = log_mel(audio, CENTERED)
    with torch.no_grad():
        z, _ = voice.network(audio, mel)
        again = voice.network.synthesizer()(z, mel)
    torch.testing.assert_close(again, audio, rtol=0, atol=1e-5)


def test_mels_and_recordings_become_sound_of_their_length(command: Run, tmp_path: Path, run: Path) -> None:
    write_clip(tmp_path / "in" / "a.wav", clip(5000))
    np.save(tmp_path / "in" / "b.npy", log_mel(torch.from_numpy(clip(2560))[None], CENTERED)[0].numpy())
    played = []
    for i, more in enumerate([[], [], ["--chunk-seconds", "0.05"], ["--seed", "4"], ["--temperature", "0"]]):
        done = command("synthesize", run, "in", f"out{i}", "--float", *more)
        assert done.returncode == 0, done.stderr
        played.append([soundfile.read(tmp_path / f"out{i}" / f"generated-{n}.wav")[0] for n in "ab"])
    assert [x.size for x in played[0]] == [5000 // 256 * 256, 2560]
    for one, same, pieces, other, still in zip(*played, strict=True):
        assert np.array_equal(one, same)
        np.testing.assert_allclose(pieces, one, atol=1e-5)
        assert not np.allclose(other, one, atol=1e-3)
        assert np.abs(still).max() < np.abs(one).max()
    refused = command("synthesize", run, "in", "out", "--temperature", "-1")
    assert refused.returncode == 1
    assert "--temperature (= -1) must be at least 0" in refused.stderr


def test_inspect_tells_both_counts(command: Run, run: Path) -> None:
    counts = {
        "waveflow_h16_r64": (5950180, 5925090), "nanoflow_h16_r128_emb512": (3865188, 2818530),
        "nanoflow_h16_r128_emb1024_f16": (4936324, 2845186), "nanoflow_tiny": (34500, 32242),
    }  # fmt: skip
    for name, (training, synthesis) in counts.items():
        found = json.loads(command("inspect", "--model", name, "--json").stdout)["parameters"]
        assert (found["training"], found["synthesis"]) == (training, synthesis)
    file = json.loads(command("inspect", run / "model.safetensors", "--json").stdout)
    tensors = load_flow(run / "model.safetensors").network.state_dict().values()
    assert file["parameters"]["synthesis"] == sum(value.numel() for value in tensors)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["data.segment_size=2049"], "must be a multiple of model.n_height (= 8), such as 2048 or 2056"),
        (["model.n_height=15", "model.permutation=bipartized", "data.segment_size=1500"], "must be even"),
        (["model.dilations_h=[1,2,4]"], "must have as many entries as model.n_layer: 2"),
        (["loss.sigma=0"], "loss.sigma (= 0.0) must be above 0"),
        (["loss=hifigan"], "is for vocoders"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(arguments: list[str], expected: str) -> None:
    with pytest.raises(UserError) as error:
        parse_experiment(composed([*SETTINGS, *arguments], conf_dir()))
    assert expected in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_run_goes_on_from_another(command: Run, tmp_path: Path, run: Path) -> None:
    train(command, f"init_from={run}", "optimizer.lr=1e-12", "hydra.run.dir=next")
    best = load_checkpoint(run / "checkpoints" / "best.ckpt")["state_dict"]
    for name, value in stored(tmp_path / "next")["state_dict"].items():
        torch.testing.assert_close(value, best[name], rtol=0, atol=1e-6)

"""Flows that synthesise, from clips to sound: trained, resumed, shared by processes, scored, played."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from namexp.audio.mel import log_mel
from namexp.audio.mel_scale import MelSpec
from namexp.comparison.reading import read_run
from namexp.conf_dir import conf_dir
from namexp.engine.checkpoint import load_checkpoint
from namexp.errors import UserError
from namexp.models.waveflow import WaveFlow, negative_log_likelihood
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.runs.metrics import read_metrics
from namexp.schema.composition import composed
from namexp.schema.initial import Averaging, Initial
from namexp.tasks.known import parse_experiment
from namexp.tasks.vocoder.flows.exporting import export
from namexp.tasks.vocoder.flows.loading import load_flow, start_from
from namexp.tasks.vocoder.flows.synthesizing import Drawing, synthesize
from namexp.tasks.vocoder.sources import Options
from tests.e2e.states import equal, stored
from tests.e2e.test_vocoder import Run, clip, write_clip

pytestmark = pytest.mark.e2e


@pytest.fixture
def command(called: Callable[..., subprocess.CompletedProcess[str]]) -> Run:
    """In this process: another one would import everything anew."""
    return called


CENTERED = MelSpec(centered=True)
SETTINGS = [
    "model=nanoflow_tiny", "model.n_height=8", "model.n_flow=3", "model.n_layer=2", "model.res_channels=4",
    "model.size_flow_embed=4", "data.segment_size=2048", "data.batch_size=4", "callbacks=quiet",
    "trainer.max_epochs=2", "trainer.limit_train_batches=3", "trainer.log_every_n_steps=1",
]  # fmt: skip

KEPT = ["callbacks.checkpoint_every_n_steps=1", "callbacks.keep_checkpoints=4"]


def train(command: Run, *arguments: object) -> None:
    finished = command("train", *SETTINGS, *arguments)
    assert finished.returncode == 0, finished.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flow")
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "namexp.train", *SETTINGS), "callbacks=default", *KEPT,
            "logger.audio_every_n_validations=2", "loss.reference_ll=2.0", "hydra.run.dir=run",
        ],
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


def test_the_page_has_the_reference_the_noise_and_what_was_heard(run: Path) -> None:
    summary = read_json(run / "summary.json")
    assert summary["figures"][0]["levels"] == {"reference": 2.0}
    assert summary["costs"][0] == "parameters"
    assert [chart["title"] for chart in summary["charts"]] == [
        "log s, flow by flow", "z against the Gaussian", "z against the Gaussian, by logarithms",
        "Spectrum of z",
    ]  # fmt: skip
    assert [x for x, _ in summary["charts"][0]["lines"]["mean"]] == [1, 2, 3]
    found = read_run(run, "run")
    assert (len(found.charts), found.damages) == (4, ())
    assert found.submodels[0].costs["parameters"] == summary["submodels"][0]["parameters"]
    assert sorted(path.name for path in (run / "previews").iterdir()) == [
        "clip_0_00002.flac",
        "clip_0_00002.png",
    ]


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


def test_weights_that_were_kept_are_averaged_everywhere(command: Run, tmp_path: Path, run: Path) -> None:
    kept = [run / "checkpoints" / f"step_{n}.ckpt" for n in (3, 4, 5, 6)]
    assert RunLayout(run).step_checkpoints() == kept
    states = [load_checkpoint(path)["state_dict"] for path in kept[-2:]]
    write_clip(tmp_path / "a.wav", clip(5120))
    export(run, tmp_path / "mean.safetensors", averaging=Averaging(2))
    learned = load_flow(run, averaging=Averaging(2)).network.state_dict()
    for name, value in learned.items():
        mean = (states[0][f"network.{name}"].double() + states[1][f"network.{name}"].double()) / 2
        torch.testing.assert_close(value.double(), mean)
    found = [
        json.loads(command("evaluate", model, "a.wav", *more, "--json").stdout)["ll"]
        for model, more in ((run, ["--average", 2]), ("mean.safetensors", []), (run, []))
    ]
    assert found[0] == pytest.approx(found[1], abs=1e-5)
    assert abs(found[0] - found[2]) > 1e-6
    refused = command("evaluate", run, "a.wav", "--average", 5)
    assert refused.returncode == 1
    assert "holds 4 checkpoints/step_<n>.ckpt" in refused.stderr
    network = WaveFlow(load_flow(kept[0]).network.spec)
    start_from(Initial(str(run), Averaging(2)), network)
    assert all(torch.equal(value, learned[name]) for name, value in network.state_dict().items())


def test_a_clip_becomes_noise_and_the_noise_the_clip(command: Run, tmp_path: Path, run: Path) -> None:
    write_clip(tmp_path / "a.wav", clip(5120))
    told = command("evaluate", run, "a.wav", "--latents", "z")
    assert told.returncode == 0, told.stderr
    z = np.load(tmp_path / "z" / "a.npy")
    assert z.shape == (8, 640)
    assert z.dtype == np.float32
    played = command(
        "synthesize", run, "a.wav", "out", "--float", "--latent", "z/a.npy", "--temperature", "1,0"
    )
    assert played.returncode == 0, played.stderr
    whole, still = (soundfile.read(tmp_path / "out" / t / "generated-a.wav")[0] for t in "10")
    np.testing.assert_allclose(whole, soundfile.read(tmp_path / "a.wav")[0], atol=2e-5)
    assert not np.allclose(whole, still, atol=1e-3)


@pytest.mark.parametrize(
    ("latent", "message"),
    [
        (np.zeros((16, 640), np.float32), "has the shape (16, 640) and must have (8, columns)"),
        (np.zeros((8, 600), np.float32), "has 600 columns, and at least 640 are needed"),
        (np.full((8, 640), np.inf, np.float32), "not finite"),
        (np.zeros((8, 640), np.int64), "must hold one array of floats"),
    ],
)
def test_noise_that_does_not_fit_is_refused(
    tmp_path: Path, run: Path, latent: np.ndarray, message: str
) -> None:
    np.save(tmp_path / "z.npy", latent)
    write_clip(tmp_path / "a.wav", clip(5120))
    drawing = Drawing(latent=tmp_path / "z.npy")
    with pytest.raises(UserError) as error:
        list(synthesize(load_flow(run), [tmp_path / "a.wav"], tmp_path / "out", Options(), drawing))
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["init_average=3"], "init_average (= 3) says how init_from=PATH is read"),
        (["init_from=a", "init_epsilon=0.1"], "init_epsilon (= 0.1) weighs what init_average averages"),
        (["init_from=a", "init_average=3", "init_epsilon=2"], "init_epsilon (= 2) must be above 0"),
        (["init_from=a", "init_average=0"], "init_average (= 0) must be at least 1"),
        (["callbacks.keep_checkpoints=0"], "callbacks.keep_checkpoints (= 0) must be at least 1"),
        (["model=wavenet", "trainer.recompute=true"], "trainer.recompute (= True) has no meaning for amps"),
        (["model=hifigan_tiny", "init_from=a", "init_partial=true"], "init_partial (= True) has no meaning"),
    ],
)
def test_what_has_no_meaning_is_refused(settings: list[str], message: str) -> None:
    model = [] if settings[0].startswith("model=") else ["model=nanoflow_tiny"]
    with pytest.raises(UserError) as error:
        parse_experiment(composed([*model, *settings], conf_dir()))
    assert message in str(error.value)


def test_the_recipe_of_the_other_repository() -> None:
    config = parse_experiment(composed(["experiment=waveflow_official"], conf_dir()))
    assert (config.model.flow.coupling, config.optimizer.lr) == ("keep_first", 0.0002)
    assert config.scheduler.options == {"step_size": 3000000, "gamma": 0.5}
    assert config.model.flow.num_parameters == 5_925_074

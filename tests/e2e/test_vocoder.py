"""A vocoder from clips to sound: trained, killed, resumed, shared by processes, swept, exported, played."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from namexp.audio.mel import log_mel
from namexp.audio.mel_scale import MelSpec
from namexp.conf_dir import conf_dir
from namexp.engine.checkpoint import load_checkpoint
from namexp.errors import UserError
from namexp.runs.files import read_json
from namexp.runs.metrics import read_metrics
from namexp.schema.composition import composed
from namexp.sweeps.directory import SweepLayout, read_jobs
from namexp.tasks.known import parse_experiment
from namexp.tasks.vocoder.networks import build_network
from namexp.tasks.vocoder.sources import Options
from namexp.tasks.vocoder.synthesizing import synthesize
from namexp.tasks.vocoder.weights.loading import load_voice
from namexp.tasks.vocoder.weights.official import official_config, write_official
from tests.e2e.conftest import CACHE, num_rows, wait_until
from tests.e2e.states import equal, stored

pytestmark = pytest.mark.e2e


@pytest.fixture
def command(called: Callable[..., subprocess.CompletedProcess[str]]) -> Run:
    """In this process: another one would import everything anew."""
    return called


RATE = 22050
PARTS = ("loss_mel", "loss_gen_mpd", "loss_gen_msd", "loss_fm_mpd", "loss_fm_msd", "loss_disc_mpd")
SETTINGS = [
    "model=hifigan_tiny", "model.upsample_initial_channel=16", "model.discriminator_width=64",
    "data.segment_size=2048", "data.batch_size=4", "callbacks=quiet", "trainer.max_epochs=3",
    "trainer.limit_train_batches=4", "trainer.log_every_n_steps=1",
]  # fmt: skip

Run = Callable[..., subprocess.CompletedProcess[str]]


def train(command: Run, *arguments: object) -> subprocess.CompletedProcess[str]:
    finished = command("train", *SETTINGS, *arguments)
    assert finished.returncode == 0, finished.stderr
    return finished


def below(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state.items() if name.startswith(prefix)}


def write_clip(path: Path, samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def clip(length: int, seed: int = 0) -> np.ndarray:
    """A voiced sound of falling pitch, with a little noise."""
    t = np.arange(length) / RATE
    random = np.random.default_rng(seed)
    sound = sum(np.sin(2 * np.pi * k * (180 - 30 * t) * t) / k for k in range(1, 12))
    return (0.1 * sound + 0.003 * random.standard_normal(length)).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training of a few steps on the embedded set, with everything that is shown."""
    folder = tmp_path_factory.mktemp("vocoder")
    finished = subprocess.run(
        [
            sys.executable, "-m", "namexp.train", *SETTINGS, "callbacks=default", "hydra.run.dir=run",
            "logger.audio_every_n_validations=2", "logger.audio_seconds=0.5",
        ],
        cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert "39" not in finished.stdout.split("parameters play")[0][-6:]
    return folder / "run"


# --- what a training leaves -------------------------------------------------------------------------


def test_a_run_has_everything_that_a_run_has(run: Path) -> None:
    there = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert there >= {
        "model.safetensors", "summary.json", "metrics.csv", "report.html", "status.json", "config.yaml",
        "checkpoints/best.ckpt", "checkpoints/last.ckpt", "audio/worst-target.flac",
        "audio/worst-generated.flac", "audio/median-generated.flac", "pictures/worst.png",
        "pictures/median.png", "previews/clip_0_00002.flac", "previews/clip_1_00002.png",
        "previews/drawn_00002.flac",
    }  # fmt: skip
    content = load_checkpoint(run / "checkpoints" / "last.ckpt")
    assert len(content["optimizer_states"]) == 2
    assert (content["updates"], content["global_step"]) == (12, 24)


def test_every_part_is_logged_for_train_and_validation(run: Path) -> None:
    rows = read_metrics(run / "metrics.csv")
    steps = [row for row in rows if row["train/loss_mel"]]
    validations = [row for row in rows if row["val_loss"]]
    assert (len(steps), len(validations)) == (12, 3)
    names = {
        *(f"{part}" for part in PARTS), "loss_disc_msd", "total_loss_g", "total_loss_d",
        *(f"mean_{side}_on_{what}" for side in ("mpd", "msd") for what in ("real", "fake")),
    }  # fmt: skip
    for stage, found in (("train", steps), ("val", validations)):
        for row in found:
            values = {name: float(row[f"{stage}/{name}"]) for name in names}
            assert np.isfinite(list(values.values())).all()
            adversarial = values["loss_gen_mpd"] + values["loss_gen_msd"]
            matching = values["loss_fm_mpd"] + values["loss_fm_msd"]
            total = 45 * values["loss_mel"] + adversarial + 2 * matching
            assert values["total_loss_g"] == pytest.approx(total, rel=1e-5)
            both = values["loss_disc_mpd"] + values["loss_disc_msd"]
            assert values["total_loss_d"] == pytest.approx(both, rel=1e-5)
    assert all(float(row["train/grad_norm_g"]) > 0 < float(row["train/grad_norm_d"]) for row in steps)
    rates = sorted({float(row["train/lr_g"]) for row in steps}, reverse=True)
    assert rates == pytest.approx([2e-4 * 0.999**i for i in range(3)])
    assert all(row["val_loss"] == row["mel_error"] for row in validations)


def test_the_summary_says_what_the_page_shows(run: Path) -> None:
    summary = read_json(run / "summary.json")
    (entry,) = summary["submodels"]
    best = min(float(row["val_loss"]) for row in read_metrics(run / "metrics.csv") if row["val_loss"])
    assert entry["mel_error"] == pytest.approx(best, rel=1e-4)
    assert entry["MRSTFT"] > 0 < entry["realtime_factor"]
    assert {clip["why"] for clip in summary["clips"]} == {"worst by mel_error", "median by mel_error"}
    worst, median = summary["clips"]
    assert worst["mel_error"] >= median["mel_error"]
    columns = set(read_metrics(run / "metrics.csv")[0])
    declared = [column for figure in summary["figures"] for column in figure["columns"].values()]
    assert len(declared) > 20
    assert set(declared) - columns == {"train/lr", "train/grad_norm"}  # of one optimiser for both
    assert {
        c for table in summary["tables"] for row in table["rows"].values() for c in row.values()
    } <= columns


# --- interrupted, resumed, shared -------------------------------------------------------------------


def test_killed_and_resumed_it_equals_one_that_never_stopped(command: Run, tmp_path: Path) -> None:
    more = ["trainer.max_epochs=12", "loss.adversarial_start_step=6"]
    train(command, *more, "hydra.run.dir=whole")
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", *SETTINGS, *more, "hydra.run.dir=cut"], cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(tmp_path), "XDG_CACHE_HOME": CACHE},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    cut = tmp_path / "cut"
    wait_until(lambda: num_rows(cut / "metrics.csv") > 12, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = load_checkpoint(cut / "checkpoints" / "last.ckpt")
    assert 0 < stopped["updates"] < 48, "the machine was too fast, or too slow"
    resumed = command("train", "resume=cut", "data.num_workers=1")
    assert resumed.returncode == 0, resumed.stderr
    assert equal(stored(cut), stored(tmp_path / "whole"))
    assert (cut / "metrics.csv").read_text() == (tmp_path / "whole" / "metrics.csv").read_text()
    assert (cut / "model.safetensors").stat().st_size == (tmp_path / "whole/model.safetensors").stat().st_size


def test_two_processes_are_one(command: Run, tmp_path: Path) -> None:
    precise = ["trainer.precision='64'", "trainer.max_epochs=2", "trainer.gradient_clip_norm_g=5"]
    train(command, *precise, "hydra.run.dir=one")
    ddp = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
    train(command, *precise, *ddp, "hydra.run.dir=two")
    one, two = (stored(tmp_path / name)["state_dict"] for name in ("one", "two"))
    before = build_network(load_model(tmp_path / "one"), seed=1234).state_dict()
    moved = 0.0
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-6, atol=1e-9)
        if value.is_floating_point():
            moved = max(moved, float((value - before[name.removeprefix("network.")]).abs().max()))
    assert moved > 1e-4, "they have learned something"


def load_model(run: Path) -> Any:
    from namexp.schema.group import parse_group
    from namexp.schema.resuming import stored_config
    from namexp.tasks.vocoder.config.model import HifiganModel

    return parse_group("model", stored_config(run / "config.yaml")["model"], HifiganModel)


def test_a_sweep_runs_resumes_and_reports(command: Run, process: Run, tmp_path: Path) -> None:
    short = ["trainer.max_epochs=1", "trainer.limit_train_batches=2", "hydra.sweep.dir=sweep"]
    swept = train(command, *short, "-m", "model.upsample_initial_channel=16,32", "seed=0,1")
    assert "mel_error" in swept.stdout
    sweep = SweepLayout(tmp_path / "sweep")
    assert [job.state for job in read_jobs(sweep)] == ["done"] * 4
    before = [stored(tmp_path / "sweep" / str(i))["state_dict"] for i in range(4)]
    for name in ("2", "3"):
        shutil.rmtree(tmp_path / "sweep" / name)
    resumed = process("sweep", "resume", "sweep")
    assert resumed.returncode == 0, resumed.stderr
    assert all(equal(stored(tmp_path / "sweep" / str(i))["state_dict"], before[i]) for i in range(4))
    reported = command("report", "sweep", "-o", "page")
    assert reported.returncode == 0, reported.stderr
    report = read_json(tmp_path / "page" / "report.json")
    assert report["headline"] == "mel_error"
    assert {run["submodels"][0]["parameters"] for run in report["runs"]} == {14233, 38753}


# --- who learns from what ---------------------------------------------------------------------------


def test_the_mel_term_alone_never_touches_the_discriminators(command: Run, tmp_path: Path) -> None:
    train(command, "experiment=hifigan_mel_only", "hydra.run.dir=run")
    state = stored(tmp_path / "run")["state_dict"]
    fresh = build_network(load_model(tmp_path / "run"), seed=1234).state_dict()
    for name, value in below(state, "network.gan.m").items():
        assert torch.equal(value, fresh[name.removeprefix("network.")]), name
    moved = below(state, "network.gan.generator.")
    assert not any(torch.equal(value, fresh[name.removeprefix("network.")]) for name, value in moved.items())
    assert len(stored(tmp_path / "run")["optimizer_states"]) == 2
    columns = read_metrics(tmp_path / "run" / "metrics.csv")[0]
    assert not any("mpd" in name or "disc" in name for name in columns)


def test_the_discriminators_begin_when_they_are_told(command: Run, tmp_path: Path) -> None:
    train(command, "loss.adversarial_start_step=5", "hydra.run.dir=run")
    rows = [row for row in read_metrics(tmp_path / "run" / "metrics.csv") if row["train/loss_mel"]]
    assert [bool(row["train/loss_disc_mpd"]) for row in rows] == [False] * 5 + [True] * 7


def test_new_discriminators_learn_alone_beside_weights_that_are_there(
    command: Run, tmp_path: Path, run: Path
) -> None:
    exported = command("export", run, "-o", tmp_path / "alone.safetensors")
    assert exported.returncode == 0, exported.stderr
    told = train(
        command, "init_from=alone.safetensors", "loss.discriminator_warmup_steps=5", "hydra.run.dir=next",
        "trainer.max_epochs=1",
    )  # fmt: skip
    assert "has no discriminators: when they begin, new ones learn alone" in told.stdout + told.stderr
    state = stored(tmp_path / "next")["state_dict"]
    initial = load_voice(tmp_path / "alone.safetensors").generator
    found = load_voice(tmp_path / "next" / "checkpoints" / "last.ckpt").generator
    for name, value in initial.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value, rtol=0, atol=1e-6)
    fresh = build_network(load_model(tmp_path / "next"), seed=1234).state_dict()
    moved = below(state, "network.gan.mpd.")
    assert not any(torch.equal(value, fresh[name.removeprefix("network.")]) for name, value in moved.items())
    more = command("train", "resume=next", "trainer.max_epochs=2")
    assert more.returncode == 0, more.stderr
    after = load_voice(tmp_path / "next" / "checkpoints" / "last.ckpt").generator.state_dict()
    assert any(not torch.equal(after[name], value) for name, value in found.state_dict().items())


def test_a_run_goes_on_from_another_with_its_discriminators(command: Run, tmp_path: Path, run: Path) -> None:
    told = train(command, f"init_from={run}", "optimizer.lr=1e-12", "trainer.max_epochs=1", "hydra.run.dir=n")
    assert "no discriminators" not in told.stdout + told.stderr
    first, second = (stored(path)["state_dict"] for path in (run, tmp_path / "n"))
    best = load_checkpoint(run / "checkpoints" / "best.ckpt")["state_dict"]
    for name, value in best.items():
        estimate = "msd.discriminators.0." in name and name.endswith(("weight_u", "weight_v"))
        if "statistics" not in name and not estimate:
            torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-3)
    assert first.keys() == second.keys()


def test_a_loss_that_is_not_finite_ends_the_training(command: Run, tmp_path: Path) -> None:
    failed = command("train", *SETTINGS, "optimizer.lr=1e30", "hydra.run.dir=run")
    assert failed.returncode == 1
    assert "the loss is not finite" in failed.stderr.splitlines()[-1]
    assert read_json(tmp_path / "run" / "status.json")["state"] == "failed"


# --- what is exported plays -------------------------------------------------------------------------


def test_every_form_of_a_model_plays_the_same(command: Run, tmp_path: Path, run: Path) -> None:
    write_clip(tmp_path / "in" / "a.wav", clip(9000))
    np.save(tmp_path / "in" / "b.npy", log_mel(torch.from_numpy(clip(5120))[None], MelSpec())[0].numpy())
    official = command("export", run, "-o", tmp_path / "off" / "g_00000012", "--format", "official")
    assert official.returncode == 0, official.stderr
    forms = [
        run,
        run / "model.safetensors",
        run / "checkpoints" / "best.ckpt",
        tmp_path / "off" / "g_00000012",
    ]
    played = []
    for i, form in enumerate(forms):
        done = command("synthesize", form, "in", f"out{i}", "--float")
        assert done.returncode == 0, done.stderr
        names = sorted(path.name for path in (tmp_path / f"out{i}").iterdir())
        assert names == ["generated-a.wav", "generated-b.wav"]
        played.append([soundfile.read(tmp_path / f"out{i}" / name)[0] for name in names])
    assert [x.size for x in played[0]] == [9000 // 256 * 256, 5120]
    for other in played[1:]:
        for one, same in zip(played[0], other, strict=True):
            np.testing.assert_allclose(same, one, atol=1e-6)
    pair = torch.load(tmp_path / "off" / "do_00000012", weights_only=True)
    assert set(pair) == {"mpd", "msd", "optim_g", "optim_d", "steps", "epoch"}
    again = train(
        command, f"init_from={tmp_path / 'off' / 'g_00000012'}", "trainer.max_epochs=1", "hydra.run.dir=n"
    )
    assert "no discriminators" not in again.stdout + again.stderr


def test_onnx_plays_the_same(command: Run, tmp_path: Path, run: Path) -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    done = command("export", run, "-o", "model.onnx")
    assert done.returncode == 0, done.stderr
    mel = torch.randn(1, 80, 33, generator=torch.Generator().manual_seed(5))
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"mel": mel.numpy()})
    with torch.inference_mode():
        expected = load_voice(run).generator(mel)[:, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["hop_length"] == "256"


def test_chunks_lengths_and_sample_formats(command: Run, tmp_path: Path, run: Path) -> None:
    write_clip(tmp_path / "a.wav", clip(40000))
    whole = command("synthesize", run, "a.wav", "whole", "--float")
    assert whole.returncode == 0, whole.stderr
    assert "39936 samples at 22050 Hz, 64 fewer than a.wav" in whole.stdout
    assert command("synthesize", run, "a.wav", "parts", "--float", "--chunk-seconds", "0.2").returncode == 0
    assert command("synthesize", run, "a.wav", "integer").returncode == 0
    assert command("synthesize", run, "a.wav", "matched", "--match-length").returncode == 0
    float32, parts, integer, matched = (
        soundfile.SoundFile(tmp_path / name / "generated-a.wav")
        for name in ("whole", "parts", "integer", "matched")
    )
    assert [f.subtype for f in (float32, parts, integer, matched)] == ["FLOAT", "FLOAT", "PCM_16", "PCM_16"]
    x, y, z = (f.read(dtype="float64") for f in (float32, parts, integer))
    np.testing.assert_allclose(y, x, rtol=0, atol=1e-6)
    np.testing.assert_allclose(z, np.clip(x, -1, 1 - 2**-15), rtol=0, atol=0.51 / 32768)
    assert matched.frames == 40000


def test_a_mel_that_is_unlike_those_that_were_learned_from_is_noticed(
    command: Run, tmp_path: Path, run: Path
) -> None:
    statistics = load_voice(run).statistics
    assert statistics is not None
    random = np.random.default_rng(0)
    like = np.array(statistics["mean"])[:, None] + np.array(statistics["std"])[
        :, None
    ] * random.standard_normal((80, 400))
    np.save(tmp_path / "like.npy", np.clip(like, -11.5, 2.0).astype(np.float32))
    np.save(tmp_path / "unlike.npy", np.clip(like - 0.5, -11.5, 2.0).astype(np.float32))
    quiet = command("synthesize", run, "like.npy", "out")
    assert quiet.returncode == 0, quiet.stderr
    assert "that of the training" not in quiet.stderr
    noticed = command("synthesize", run, "unlike.npy", "out")
    assert noticed.returncode == 0
    assert "that of the training" in noticed.stderr


def test_evaluate_gives_every_clip_and_the_mean(command: Run, tmp_path: Path, run: Path) -> None:
    paths = [write_clip(tmp_path / "clips" / f"{name}.wav", clip(12000, i)) for i, name in enumerate("ab")]
    done = command("evaluate", run, "clips", "--json", "found.json")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert [entry["name"] for entry in found["clips"]] == ["a", "b"]
    mean = np.mean([entry["mel_error"] for entry in found["clips"]])
    assert found["mean"]["mel_error"] == pytest.approx(mean)
    samples = torch.from_numpy(soundfile.read(paths[0], dtype="float32")[0])
    samples = samples / samples.abs().max() * 0.95
    with torch.inference_mode():
        generated = load_voice(run).generator(log_mel(samples[None], MelSpec()))[0]
    full = MelSpec(fmax=None)
    error = (log_mel(generated, full) - log_mel(samples[None], full)).abs().mean()
    assert found["clips"][0]["mel_error"] == pytest.approx(float(error), rel=1e-4)


def test_inspect_counts(command: Run, run: Path) -> None:
    v1 = json.loads(command("inspect", "--model", "hifigan_v1", "--json").stdout)
    assert v1["parameters"] == {
        "training": 13936130, "synthesis": 13926017, "discriminators": {"mpd": 41105770, "msd": 29618821},
    }  # fmt: skip
    file = json.loads(command("inspect", run / "model.safetensors", "--json").stdout)
    assert file["parameters"]["synthesis"] == 14233
    assert file["mel"]["fmax"] == 8000.0
    checkpoint = json.loads(command("inspect", run / "checkpoints" / "last.ckpt", "--json").stdout)
    network = build_network(load_model(run), seed=0).gan
    sizes = {name: sum(p.numel() for p in getattr(network, name).parameters()) for name in ("mpd", "msd")}
    assert checkpoint["parameters"]["discriminators"] == sizes


def test_a_benchmark_times_random_weights(command: Run) -> None:
    done = command("synthesize", "--benchmark", "hifigan_tiny", "--seconds", "0.5", "--rounds", "2", "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert set(figures) == {"cpu_s_best", "wall_s_best", "audio_s", "xrt", "max_rss_mb"}
    assert figures["audio_s"] == pytest.approx(43 * 256 / RATE)
    assert figures["xrt"] == pytest.approx(figures["audio_s"] / figures["wall_s_best"])


def test_a_test_set_is_played_at_the_end(command: Run, tmp_path: Path) -> None:
    for i in range(3):
        write_clip(tmp_path / "test" / f"audio_{i}.wav", clip(6000, i))
    train(command, "data.test_dir=test", "trainer.max_epochs=1", "hydra.run.dir=run")
    names = sorted(path.name for path in (tmp_path / "run" / "test").iterdir())
    assert names == [f"generated-audio_{i}.wav" for i in range(3)]
    assert {soundfile.info(tmp_path / "run" / "test" / name).frames for name in names} == {6000 // 256 * 256}
    (tmp_path / "test" / "audio_2.wav").unlink()
    refused = command("train", *SETTINGS, "data.test_dir=test", "hydra.run.dir=other")
    assert refused.returncode == 1
    assert "2 files" in refused.stderr
    assert "3" in refused.stderr.splitlines()[-1]
    taken = command("synthesize", tmp_path / "run", "test", "out", "--test", "--accept-untested")
    assert taken.returncode == 0, taken.stderr


# --- mistakes ---------------------------------------------------------------------------------------

TRAINING_MISTAKES = {
    "data of an amp": (["data=normalized"], "data (with input, target, pairs, ...) is for amps"),
    "loss of an amp": (["loss=mse"], "loss (with mse_weight, esr_weight, dc_weight, ...) is for amps"),
    "an amp on speech": (["model=wavenet", "data=speech"], "is for flows and vocoders, and model.kind "
    "wavenet is for amps"),
    "no multiple of the hop": (["data.segment_size=2000"], "data.segment_size (= 2000) must be a multiple"),
    "another hop": (["model.upsample_rates=[8,8,2]", "model.upsample_kernel_sizes=[16,16,4]"], "8 x 8 x 2 = "
    "128"),
    "odd difference": (["model.upsample_kernel_sizes=[16,16,7]"], "differ from it by an even number"),
    "channels": (["model.upsample_initial_channel=12"], "must be a multiple of 8"),
    "no directory": (["data.dir=nowhere"], "nowhere"),
    "skip_oom of several": (
        ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.skip_oom=true"],
        "trainer.skip_oom (= true) with 2 processes",
    ),
    "weights that are not there": (["init_from=nowhere"], "nowhere: no such file"),
}  # fmt: skip


BY_COMMAND = ("no directory", "weights that are not there", "no multiple of the hop")


@pytest.mark.parametrize("name", TRAINING_MISTAKES)
def test_a_training_that_cannot_be_is_refused_in_one_line(command: Run, tmp_path: Path, name: str) -> None:
    arguments, expected = TRAINING_MISTAKES[name]
    kept = [setting for setting in SETTINGS if not setting.startswith("data.")]
    kept = kept if "model=wavenet" not in arguments else ["callbacks=quiet"]
    if name not in BY_COMMAND:
        with pytest.raises(UserError) as error:
            parse_experiment(composed([*kept, *arguments], conf_dir()))
        assert expected in str(error.value)
        return
    refused = command("train", *kept, *arguments, "hydra.run.dir=run")
    assert refused.returncode == 1
    assert expected in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "run" / "checkpoints").exists()


def _bad_inputs(folder: Path) -> dict[str, str]:
    """Files that cannot be played, and what is said of each."""
    good = log_mel(torch.from_numpy(clip(5120))[None], MelSpec())[0].numpy()
    broken = clip(6000)
    broken[100] = np.nan
    write_clip(folder / "nan.wav", broken, subtype="FLOAT")
    write_clip(folder / "short.wav", clip(384))
    write_clip(folder / "stereo.wav", np.stack([clip(6000)] * 2, axis=1))
    write_clip(folder / "rate.wav", clip(6000), 16000)
    (folder / "text.wav").write_text("no audio")
    (folder / "empty.wav").write_bytes(b"")
    not_finite = good.copy()
    not_finite[3, 4] = np.inf
    arrays = {
        "bins": good[:40], "frames": good[:, :0], "one_dimension": good[0], "infinite": not_finite,
        "db": good * 8.685889638, "magnitudes": np.exp(good) * 20,
    }  # fmt: skip
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    return {
        "nan.wav": "nan.wav: sample 100 is nan",
        "short.wav": "has 384 samples and must have at least 385",
        "stereo.wav": "has 2 channels and must have 1",
        "rate.wav": "16000 Hz",
        "text.wav": "not an audio file",
        "empty.wav": "empty.wav",
        "bins.npy": "(40, 20)",
        "frames.npy": "no frames",
        "one_dimension.npy": "(20,)",
        "infinite.npy": "is inf",
        "db.npy": "--mel-scale db",
        "magnitudes.npy": "--mel-scale linear",
        "pickled.npy": "pickled",
        "nowhere.wav": "no such file",
    }


def test_inputs_that_cannot_be_played_are_refused_before_anything_is_written(
    command: Run, tmp_path: Path, run: Path
) -> None:
    good = write_clip(tmp_path / "good.wav", clip(6000))
    for name, expected in _bad_inputs(tmp_path).items():
        with pytest.raises(UserError) as error:
            list(synthesize(run, [good, tmp_path / name], tmp_path / "out", Options()))
        assert expected in str(error.value), name
        assert len(str(error.value).splitlines()) == 1, name
        assert not (tmp_path / "out").exists(), name
    refused = command("synthesize", run, "good.wav", "nan.wav", "out")
    assert refused.returncode == 1
    assert [line for line in refused.stderr.splitlines() if "parameters; mel" not in line] == [
        "namexp.synthesize: nan.wav: sample 100 is nan; the file is damaged, record it again."
    ]
    converted = command("synthesize", run, "db.npy", "out", "--mel-scale", "db")
    assert converted.returncode == 0, converted.stderr


def test_a_model_of_an_amp_is_not_synthesised_with(command: Run, tmp_path: Path) -> None:
    (tmp_path / "amp.nam").write_text("{}")
    write_clip(tmp_path / "a.wav", clip(6000))
    refused = command("synthesize", "amp.nam", "a.wav", "out")
    assert refused.returncode == 1
    assert "a model of an amp" in refused.stderr


def test_options_of_another_task_are_refused(command: Run, run: Path, tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", clip(6000))
    refused = command("evaluate", run, "a.wav", "--slim", "0.5")
    assert refused.returncode == 1
    assert "--slim has no meaning" in refused.stderr
    assert command("export", run, "--metadata", "name=x").returncode == 1


# --- learning ---------------------------------------------------------------------------------------


def test_the_mel_term_is_learned_from(command: Run, tmp_path: Path) -> None:
    """The embedded set, half a minute: from noise to something with the spectrum of speech."""
    train(
        command, "experiment=hifigan_mel_only", "trainer.limit_train_batches=20", "optimizer.lr=0.002",
        "hydra.run.dir=run",
    )  # fmt: skip
    errors = [
        float(row["mel_error"]) for row in read_metrics(tmp_path / "run" / "metrics.csv") if row["mel_error"]
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.9 * errors[0]


# --- what a reviewer found --------------------------------------------------------------------------


def test_a_clip_of_the_least_length_is_validated_scored_and_evaluated(
    command: Run, tmp_path: Path, run: Path
) -> None:
    """385 samples make a mel, and whole frames of it, 256 samples, do not."""
    for i in range(5):
        write_clip(tmp_path / "set" / "wavs" / f"c{i}.wav", clip(4000, i))
    write_clip(tmp_path / "set" / "wavs" / "short.wav", clip(385, 9))
    (tmp_path / "set" / "train.txt").write_text("".join(f"c{i}|x|x\n" for i in range(4)))
    (tmp_path / "set" / "validation.txt").write_text("c4|x|x\nshort|x|x\n")
    train(command, "data.dir=set", "trainer.max_epochs=1", "hydra.run.dir=short")
    evaluated = command("evaluate", run, tmp_path / "set" / "wavs" / "short.wav", "--json", "e.json")
    assert evaluated.returncode == 0, evaluated.stderr
    assert np.isfinite(json.loads((tmp_path / "e.json").read_text())["mean"]["mel_error"])


def test_a_test_set_that_cannot_be_played_is_refused_before_training(command: Run, tmp_path: Path) -> None:
    for i in range(2):
        write_clip(tmp_path / "test" / f"{i}.wav", clip(6000, i))
    write_clip(tmp_path / "test" / "stereo.wav", np.stack([clip(6000)] * 2, axis=1))
    refused = command("train", *SETTINGS, "data.test_dir=test", "hydra.run.dir=run")
    assert refused.returncode == 1
    assert "stereo.wav: has 2 channels" in refused.stderr
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_the_mel_term_alone_goes_on_from_weights_without_discriminators(
    command: Run, tmp_path: Path, run: Path
) -> None:
    assert command("export", run, "-o", "alone.safetensors").returncode == 0
    train(
        command, "experiment=hifigan_mel_only", "init_from=alone.safetensors", "trainer.max_epochs=1",
        "hydra.run.dir=next",
    )  # fmt: skip
    rows = [row for row in read_metrics(tmp_path / "next" / "metrics.csv") if not row["val_loss"]]
    assert all(row["train/loss_mel"] for row in rows)
    assert "train/total_loss_d" not in rows[0]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"sampling_rate": "abc"}', "sampling_rate (= 'abc') must be a whole number"),
        ('{"sampling_rate": 22050.5}', "must be a whole number"),
        ("\xff\xfe", "not JSON"),
        ("[" * 100000, "not JSON"),
        ('{"num_mels": 1000000000}', "the weights do not fit the model"),
        ('{"upsample_rates": [8, 8]}', "must have as many entries"),
        ('{"hop_size": 300}', "and the mel spectrogram's hop_length is 300"),
    ],
)
def test_an_official_config_that_is_wrong_is_refused_in_one_line(
    tmp_path: Path, run: Path, content: str, expected: str
) -> None:
    voice = load_voice(run)
    settings = official_config(voice, segment_size=8192, optimizer={"lr": 2e-4})
    write_official(tmp_path / "off" / "g_00000001", voice.generator.state_dict(), None, settings)
    path = tmp_path / "off" / "config.json"
    if content.startswith("{"):
        path.write_text(json.dumps({**json.loads(path.read_text()), **json.loads(content)}))
    else:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError) as error:
        load_voice(tmp_path / "off" / "g_00000001")
    assert expected in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_its_own_output_is_no_input(command: Run, tmp_path: Path, run: Path) -> None:
    write_clip(tmp_path / "clips" / "a.wav", clip(6000))
    for output in ("clips", tmp_path / "clips", "clips/below"):
        for _ in range(2):
            done = command("synthesize", run, "clips", output)
            assert done.returncode == 0, done.stderr
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.wav")}
    assert names >= {"clips/a.wav", "clips/generated-a.wav", "clips/below/generated-a.wav"}
    assert not any("generated-generated" in name and "below" not in name for name in names)


def test_exports_that_would_lack_something_say_so(command: Run, tmp_path: Path, run: Path) -> None:
    assert command("export", run, "-o", "alone.safetensors").returncode == 0
    lacking = command("export", "alone.safetensors", "-o", "b.safetensors", "--discriminators")
    assert lacking.returncode == 1
    assert "has no discriminators to keep" in lacking.stderr
    official = command("export", "alone.safetensors", "-o", "off/g_00000007")
    assert official.returncode == 0
    assert "so there is no do_ file" in official.stderr
    assert sorted(path.name for path in (tmp_path / "off").iterdir()) == ["config.json", "g_00000007"]
    unknown = command("export", run, "-o", "model.nam")
    assert unknown.returncode == 1
    assert "says no format" in unknown.stderr
    kept = command("export", run, "-o", "all.safetensors", "--discriminators")
    assert kept.returncode == 0
    assert load_voice(tmp_path / "all.safetensors").discriminators


def test_a_model_that_is_not_there_is_said_to_be_that(command: Run, tmp_path: Path) -> None:
    write_clip(tmp_path / "a.wav", clip(6000))
    for name, more in (("synthesize", ["out"]), ("evaluate", [])):
        refused = command(name, "nowhere", "a.wav", *more)
        assert refused.returncode == 1
        assert "nowhere: no such file" in refused.stderr

"""Sound files of every kind, small: what is damaged afterwards."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.played import ConvNetSpec, LinearSpec, LstmSpec
from namexp.audio.wav import write_flac, write_wav
from namexp.conf_dir import conf_dir
from namexp.models.conv_net import ConvNet
from namexp.models.hifigan import Generator
from namexp.models.linear import Linear
from namexp.models.lstm import Lstm
from namexp.models.network import Network
from namexp.nam.model import NamModel, to_document
from namexp.tasks.vocoder.config.mel import Mels, parse_mels
from namexp.tasks.vocoder.config.model import parse_generator
from namexp.tasks.vocoder.weights.official import official_config, write_official
from namexp.tasks.vocoder.weights.single import write_voice
from namexp.tasks.vocoder.weights.voice import Voice

OLD_RUNS = Path(__file__).resolve().parents[2] / "tests" / "old_runs"
MEL = {
    "n_fft": 64,
    "hop_length": 4,
    "win_length": 64,
    "n_mels": 5,
    "fmin": 0.0,
    "fmax": 4000.0,
    "fmax_loss": None,
}
SPEC = {
    "upsample_rates": [2, 2], "upsample_kernel_sizes": [4, 4], "upsample_initial_channel": 8, "resblock": "2",
    "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 2]],
}  # fmt: skip


def make_all(folder: Path) -> None:
    """Write everything into ``folder``: ``nam/``, ``runs/``, ``audio/``, ``voice/``, ``mel.npy``."""
    torch.manual_seed(0)
    _make_runs(folder / "runs")
    _make_nams(folder / "nam", folder / "runs")
    _make_audio(folder / "audio")
    _make_voice(folder / "voice")
    values = np.random.RandomState(1).uniform(-10.0, 1.0, (5, 12)).astype(np.float32)
    np.save(folder / "mel.npy", values)


def _make_runs(folder: Path) -> None:
    for source in OLD_RUNS.rglob("*"):
        target = folder / source.relative_to(OLD_RUNS)
        if source.is_dir():
            target.mkdir(parents=True, exist_ok=True)
        elif source.suffix in (".yaml", ".json", ".nam"):
            text = source.read_text(encoding="utf-8")
            target.write_text(
                text.replace("@HERE@", str(folder)).replace("@CONF@", conf_dir()), encoding="utf-8"
            )
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def _make_nams(folder: Path, runs: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("packed", "wavenet", "slimmable"):
        shutil.copyfile(runs / name / "model.nam", folder / f"{name}.nam")
    tanh = ActivationSpec("Tanh")
    networks: dict[str, Network] = {
        "lstm": Lstm(LstmSpec(1, 3, 2)),
        "linear": Linear(LinearSpec(8, bias=True)),
        "conv_net": ConvNet(ConvNetSpec(2, (1, 2, 4), batchnorm=False, activation=tanh)),
    }
    for name, network in networks.items():
        document = to_document(NamModel(network.eval(), {"name": name}, 48000.0))
        (folder / f"{name}.nam").write_text(json.dumps(document), encoding="utf-8")


def _make_audio(folder: Path) -> None:
    samples = (0.5 * np.sin(np.arange(400) / 5.0)).astype(np.float32)
    write_wav(folder / "a.wav", samples, 8000)
    write_flac(folder / "a.flac", samples, 8000)


def _make_voice(folder: Path) -> None:
    mels: Mels = parse_mels(MEL, 8000, "mel")
    generator = Generator(parse_generator(SPEC, mels, "generator"))
    voice = Voice(generator.fused().eval(), mels, folder, None, {}, {"seed": 0})
    folder.mkdir(parents=True)
    write_voice(folder / "model.safetensors", voice)
    config = official_config(voice, segment_size=64, optimizer={"lr": 0.0002})
    write_official(folder / "g_00000001", generator.state_dict(), None, config)

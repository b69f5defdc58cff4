"""The commands that train the A2 pack with either program, on one recording and alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from namexp.audio.synth import SAMPLE_RATE, amp, guitar
from namexp.audio.wav import write_wav
from namexp.errors import UserError

Command = Callable[[Path, int], list[str]]  # for a folder to write to and a number of epochs

VALIDATION_SECONDS = 9.0  # the default of namexp, and what the peer keeps of its own recording
SKIPPED_SAMPLES = 480_000  # that the peer's simplified trainer leaves out at the beginning
NUM_TAKES = 5

# What the peer's simplified trainer sets, for its command nam-full.
LOADERS = {
    "train_dataloader": {
        "batch_size": 16,
        "shuffle": True,
        "pin_memory": True,
        "drop_last": True,
        "num_workers": 0,
    },
    "val_dataloader": {},
}
NORMALISED = {"name": "nam.data.normalize_joint_dataset_output", "kwargs": {"level_rms_dbfs": -18.0}}
PACKAGED_MODEL = """
import json
from nam.train.core import _get_packed_model_config
print(json.dumps(_get_packed_model_config()))
"""


class Files(NamedTuple):
    """A recording: what went into the amp and what came out."""

    input: Path
    target: Path


def our_command(files: Files, device: str, start: int = 0) -> Command:
    """``namexp.train`` as it comes, on the recording from sample ``start``."""
    given = [f'data.input="{files.input}"', f'data.target="{files.target}"', f"data.start_samples={start}"]
    trainer = "trainer=gpu" if device == "cuda" else "trainer=cpu"

    def command(folder: Path, epochs: int) -> list[str]:
        run = [f'hydra.run.dir="{folder / "run"}"', trainer, f"trainer.max_epochs={epochs}"]
        return [sys.executable, "-m", "namexp.train", *given, *run]

    return command


def full_command(files: Files, device: str, python: str) -> Command:
    """``nam-full`` with the model and the settings of the peer's simplified trainer."""
    told = subprocess.run([python, "-c", PACKAGED_MODEL], capture_output=True, text=True)
    if told.returncode:
        raise UserError(f"{python}: cannot import nam.train.core: {told.stderr}")
    data = {
        "train": {"ny": 8192, "stop_seconds": -VALIDATION_SECONDS},
        "validation": {
            "ny": None,
            "start_seconds": -VALIDATION_SECONDS,
            "require_input_pre_silence": None,
        },
        "common": {"x_path": str(files.input), "y_path": str(files.target), "delay": 0},
        "joint": [NORMALISED],
    }
    trainer = {"accelerator": "gpu" if device == "cuda" else "cpu", "devices": 1}

    def command(folder: Path, epochs: int) -> list[str]:
        learning = {**LOADERS, "trainer": {**trainer, "max_epochs": epochs}}
        model = json.loads(told.stdout.splitlines()[-1])
        paths = []
        for name, config in (("data", data), ("model", model), ("learning", learning)):
            paths.append(folder / f"{name}.json")
            paths[-1].write_text(json.dumps(config), encoding="utf-8")
        return [python, "-m", "nam.cli", *map(str, paths), str(folder), "--no-show"]

    return command


def simplified_command(files: Files, python: str) -> Command:
    """The trainer behind the peer's GUI, which needs a driver; it uses a GPU where there is one."""
    driver = [python, "-m", "benchmarking.peer_simplified", str(files.input), str(files.target)]
    return lambda folder, epochs: [*driver, str(folder), str(epochs)]


def write_recording(folder: Path) -> Files:
    """Three minutes of the embedded recording's player and amp."""
    takes = [guitar(np.random.RandomState(seed)) for seed in range(NUM_TAKES)]
    files = Files(folder / "input.wav", folder / "target.wav")
    heard = [amp(take, SAMPLE_RATE) for take in takes]
    for path, parts in zip(files, (takes, heard), strict=True):
        write_wav(path, np.concatenate(parts).astype(np.float32), SAMPLE_RATE)
    return files

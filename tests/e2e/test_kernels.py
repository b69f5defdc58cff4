"""Training and rendering with compiled kernels and without a compiler."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from namexp.audio.wav import read_wav, write_wav_blocks
from namexp.runs.metrics import read_metrics
from tests.compilers import needs_compiler

pytestmark = pytest.mark.e2e

SMALL = [
    "model=packed_wavenet_small", "model.channels=[2,4]", "loss=a2", "data.ny=1100", "data.batch_size=8",
    "data.validation_seconds=1.0", "optimizer.lr=0.01", "model.head_scale=0.1", "callbacks=quiet",
    "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2,4,8], activation: LeakyReLU}]",
    "trainer.max_epochs=3", "trainer.log_every_n_steps=1",
]  # fmt: skip
NOTICE = (
    "which is several times slower: no C++ compiler was found (g++, clang++, c++, zig, Python's ziglang); "
    "install g++ or clang++, or pip install 'namexp[compiler]'"
)

Run = Callable[..., subprocess.CompletedProcess[str]]


@needs_compiler
def test_without_a_compiler_everything_works_and_says_that_it_is_slower(
    command: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    on = {"NAMEXP_KERNELS": "on"}
    hidden = {**on, "PATH": str(tmp_path / "bin"), "CXX": ""}
    data = [f"data.input={pair[0]}", f"data.target={pair[1]}"]
    losses, played = {}, {}
    for name, environment in (("fast", on), ("plain", hidden)):
        run = tmp_path / name
        trained = command("train", *SMALL, *data, f"hydra.run.dir={run}", environment=environment)
        assert trained.returncode == 0, trained.stderr
        told = trained.stdout + trained.stderr
        assert told.count(f"notice: the network runs on torch's own operations, {NOTICE}") == (
            name == "plain"
        )
        rows = read_metrics(run / "metrics.csv")
        losses[name] = [float(row["train/loss"]) for row in rows if row["train/loss"]]
        assert losses[name][-1] < 0.8 * losses[name][0], "it learns"
        # both play the same weights: a training amplifies rounding, what it ends with cannot be compared
        model = tmp_path / "fast" / "model.nam"
        rendered = command("render", model, pair[0], f"{name}.wav", environment=environment)
        assert rendered.returncode == 0, rendered.stderr
        assert (NOTICE in rendered.stderr) == (name == "plain")
        played[name] = read_wav(tmp_path / f"{name}.wav").samples
    assert losses["fast"][:2] == pytest.approx(losses["plain"][:2], rel=1e-6), "the same weights and batches"
    assert played["fast"].shape == read_wav(pair[0]).samples.shape
    np.testing.assert_allclose(
        played["fast"], played["plain"], rtol=0, atol=1e-6 * np.abs(played["plain"]).max()
    )


LINEAR = """{"version": "0.7.0", "architecture": "Linear", "sample_rate": 48000,
"config": {"receptive_field": 2, "bias": false}, "weights": [1.0, 0.5]}"""


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="no way to ask for a command's peak memory here")
def test_the_memory_of_rendering_does_not_grow_with_the_audio(tmp_path: Path) -> None:
    (tmp_path / "model.nam").write_text(LINEAR)
    block = np.full(48000, 0.25, np.float32)
    peaks = []
    for minutes in (1, 10):
        write_wav_blocks(tmp_path / "x.wav", (block for _ in range(60 * minutes)), 48000)
        arguments = [sys.executable, "-m", "namexp.render", "model.nam", "x.wav", "y.wav"]
        process = subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        peaks.append(usage.ru_maxrss * 1024)
    nine_minutes = 9 * 60 * 48000 * 4  # bytes of samples
    assert peaks[1] - peaks[0] < nine_minutes / 4

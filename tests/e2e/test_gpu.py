"""The same training on a GPU."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from namexp.runs.metrics import read_metrics

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine"),
]


@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_it_learns_on_a_gpu_what_it_learns_on_the_cpu(
    command: Callable[..., subprocess.CompletedProcess[str]],
    pair: tuple[Path, Path],
    tmp_path: Path,
    precision: str,
) -> None:
    losses = {}
    for trainer in ("cpu", "gpu"):
        run = tmp_path / trainer
        finished = command(
            "train", "model=packed_wavenet_small", "model.channels=[2,4]", "loss=a2", "data.ny=1100",
            "data.batch_size=8", "data.validation_seconds=1.0", "optimizer.lr=0.01", "model.head_scale=0.1",
            "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2,4,8], activation: LeakyReLU}]",
            f"data.input={pair[0]}", f"data.target={pair[1]}", f"hydra.run.dir={run}", "callbacks=quiet",
            "trainer.max_epochs=8", f"trainer={trainer}", "trainer.log_every_n_steps=1",
            f"trainer.precision='{precision if trainer == 'gpu' else 32}'",
        )  # fmt: skip
        assert finished.returncode == 0, finished.stderr
        assert "CUDA graph" not in finished.stdout + finished.stderr  # or none could be made
        summary = json.loads((run / "summary.json").read_text())
        assert max(entry["ESR"] for entry in summary["submodels"]) < 0.5
        rows = read_metrics(run / "metrics.csv")
        losses[trainer] = [float(row["train/loss"]) for row in rows if row["train/loss"]]
    # what rounding has not amplified yet: a training's end cannot be compared across devices
    tolerance = {"32": 1e-4, "bf16-mixed": 5e-2}[precision]
    assert losses["gpu"][:2] == pytest.approx(losses["cpu"][:2], rel=tolerance)

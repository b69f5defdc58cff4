"""A whole training the way a GPU does it, on the CPU: the same run as the ordinary one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.engine.checkpoint import load_checkpoint
from namexp.engine.experiment import run
from namexp.models.wavenet import layer_array
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import resolved_config
from namexp.tasks.capture import module as capture
from namexp.tasks.capture.data.module import CaptureDataModule
from namexp.tasks.known import parse_experiment, task_of
from tests.recorder import Tape

pytestmark = pytest.mark.e2e


@pytest.fixture
def train(pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunLayout]:
    """Train in this process with torch's own operations, as there are no others on a GPU."""
    monkeypatch.setattr(layer_array, "layer_arrays", lambda arrays: None)
    monkeypatch.setenv("WANDB_MODE", "disabled")

    def trained(folder: Path, *overrides: str, **more: Any) -> RunLayout:
        with initialize_config_dir(conf_dir(), version_base="1.3"):
            composed = compose("train", [
                "model=packed_wavenet_small", "model.channels=[2,4]", "data.ny=1100", "data.batch_size=8",
                "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2,4,8], activation: LeakyReLU}]",
                "data.validation_seconds=1.0", "optimizer.lr=0.01", "trainer.log_every_n_steps=3",
                "callbacks=quiet", "trainer.gradient_clip_norm=0.1", "trainer.max_epochs=3",
                f"data.input={pair[0]}", f"data.target={pair[1]}", *overrides,
            ])  # fmt: skip
        config = parse_experiment(composed)
        run(task_of(config), config, resolved_config(composed, type(config)), folder, **more)
        return RunLayout(folder)

    return trained


def test_a_run_with_replayed_steps_is_the_ordinary_one(
    train: Callable[..., RunLayout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ordinary = train(tmp_path / "ordinary")
    tapes: list[Tape] = []
    monkeypatch.setattr(capture, "recorder_on", lambda parameters: tapes.append(Tape()) or tapes[-1])
    monkeypatch.setattr(CaptureDataModule, "_elsewhere", True)
    replayed = train(tmp_path / "replayed")
    switched_off = train(tmp_path / "off", "trainer.cuda_graph=false")
    train(tmp_path / "half", "trainer.max_epochs=2")
    continued = train(tmp_path / "half", resume="auto")
    assert len(tapes) == 3  # none where it was switched off
    assert all(tape.recordings == 1 for tape in tapes)
    assert tapes[0].replays > 10
    for other in (replayed, switched_off, continued):
        assert other.metrics.read_text() == ordinary.metrics.read_text()
        one, two = load_checkpoint(ordinary.last_checkpoint), load_checkpoint(other.last_checkpoint)
        assert one["namexp"]["training_id"] == two["namexp"]["training_id"]
        assert one["state_dict"].keys() == two["state_dict"].keys()
        assert all(torch.equal(value, two["state_dict"][name]) for name, value in one["state_dict"].items())

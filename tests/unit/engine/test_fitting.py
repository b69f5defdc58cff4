"""What a training sets for the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from namexp.engine.fitting import _build_trainer, torch_settings
from namexp.ranks.place import ALONE
from namexp.runs.layout import RunLayout
from tests.captures import one_model


def test_settings_hold_within_and_are_put_back(experiment_config: Callable[..., Any]) -> None:
    trainer = experiment_config("model=wavenet_nano", "trainer.threads=1").trainer
    torch.set_num_threads(2)

    def now() -> tuple[int, bool, bool]:
        filled = torch.utils.deterministic.fill_uninitialized_memory
        return torch.get_num_threads(), filled, torch.backends.cudnn.allow_tf32

    before = now()
    with torch_settings(trainer):
        assert now() == (1, False, False)
    assert now() == before
    assert before[:2] == (2, True), "or nothing was put back"


def test_a_login_node_of_a_cluster_gets_no_advice(
    experiment_config: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\n")
    srun.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    training: Any = SimpleNamespace(config=experiment_config("callbacks=quiet"), layout=RunLayout(tmp_path))
    data: Any = SimpleNamespace(num_batches=3)
    with pytest.warns(UserWarning, match="`srun` command is available"):
        pl.Trainer(devices=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer = _build_trainer(training, one_model(), data, ALONE, [], [])  # a warning would be an error
    assert trainer.log_every_n_steps == 3

"""What a training sets for the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from namexp.engine.fitting import torch_settings


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

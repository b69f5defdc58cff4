"""Shared by all tests: composed configs, the golden data, and quiet threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.known import parse_experiment

SHARED = Path(__file__).resolve().parents[2] / "shared"
GOLDEN = SHARED / "golden"
REAMP = SHARED / "data" / "reamp"

os.environ.setdefault("WANDB_MODE", "offline")
os.environ["WANDB_ERROR_REPORTING"] = "false"
os.environ["WANDB_SILENT"] = "true"


@pytest.fixture
def golden() -> Path:
    """The recorded outputs of the peer and of the C++ runtime."""
    if not GOLDEN.is_dir():
        pytest.skip("no ../shared/golden beside this checkout")
    return GOLDEN


@pytest.fixture
def reamp() -> Path:
    """A real recording."""
    if not REAMP.is_dir():
        pytest.skip("no ../shared/data/reamp beside this checkout")
    return REAMP


@pytest.fixture
def experiment_config() -> Callable[..., CaptureConfig]:
    """Compose and check a config: ``experiment_config("model=wavenet", "seed=3")``."""

    def parse(*overrides: str) -> CaptureConfig:
        with initialize_config_dir(conf_dir(), version_base="1.3"):
            return parse_experiment(compose("train", list(overrides)))

    return parse


@pytest.fixture(autouse=True)
def _same_random_state() -> Iterator[None]:
    """Every test starts from one seed and leaves torch as it found it."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    threads = torch.get_num_threads()
    torch.manual_seed(0)
    yield
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)

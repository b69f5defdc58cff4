"""Runs that are told to W&B, as a user starts them, and keys that a dashboard names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.conftest import CACHE

ROOT = Path(__file__).resolve().parents[2]
PACK = ["model=packed_wavenet_small", "model.channels=[2,4]"]
SMALL = [
    "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2,4,8], activation: LeakyReLU}]",
    "model.head_scale=0.1", "data.ny=1100", "data.batch_size=8", "data.validation_seconds=1.0",
    "callbacks.progress=false", "data.input=x.wav", "data.target=y.wav",
]  # fmt: skip


def environment(home: Path) -> dict[str, str]:
    """Without an account, and with everything that W&B writes below ``home``."""
    folders = {f"WANDB_{name}": str(home / name) for name in ("DATA_DIR", "CACHE_DIR", "CONFIG_DIR")}
    kept = {k: v for k, v in os.environ.items() if k not in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")}
    return {
        **kept,
        **folders,
        "WANDB_MODE": "offline",
        "OMP_NUM_THREADS": "1",
        "HOME": str(home),
        "XDG_CACHE_HOME": CACHE,
    }


def train(folder: Path, *overrides: str, epochs: int = 2) -> subprocess.CompletedProcess[str]:
    """Run ``python -m namexp.train`` on the recording of ``folder``."""
    return python(folder, "-m", "namexp.train", *overrides, *SMALL, f"trainer.max_epochs={epochs}")


def dashboard(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``scripts/dashboard.py``."""
    return python(folder, str(ROOT / "scripts" / "dashboard.py"), *arguments)


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python there."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=600,
    )  # fmt: skip


def named_keys(node: Any) -> Iterator[str]:
    """Every key of history or summary that a panel, an axis or a column names."""
    if isinstance(node, list):
        for item in node:
            yield from named_keys(item)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key in ("metrics", "mediaKeys"):
            yield from value
        elif key in ("xAxis", "yAxis", "zAxis") and value != "_step":
            yield value.removeprefix("summary:")
        elif key == "columnPinned":
            yield from (column.removeprefix("summary:") for column in value if column.startswith("summary:"))
        elif key == "args" and any(arg["name"] == "tableKey" for arg in value):
            yield from (arg["value"] for arg in value)
        else:
            yield from named_keys(value)

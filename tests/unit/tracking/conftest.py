"""W&B with everything it writes below tmp_path, and runs to be told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namexp.runs.layout import RunLayout
from namexp.schema.logger import LoggerConfig
from namexp.schema.metric import VAL_LOSS, Metric
from namexp.tracking.tracker import RunDescription


@pytest.fixture
def wandb_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account, no network, and no file outside tmp_path."""
    for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HOME", str(tmp_path))  # no .netrc


@pytest.fixture
def logger_config() -> Callable[..., LoggerConfig]:
    """``logger_config("wandb", group="x")``."""

    def build(kind: str, **settings: Any) -> LoggerConfig:
        values = {
            "project": "namexp-tests", "entity": None, "mode": "offline", "name": None, "group": None,
            "tags": [], "audio_every_n_validations": 5, "audio_seconds": 5.0,
        }  # fmt: skip
        return LoggerConfig(kind=kind, **{**values, **settings})

    return build


@pytest.fixture
def description(tmp_path: Path) -> Callable[..., RunDescription]:
    """``description("first")``: a run directory of that name with two submodels."""

    def build(name: str) -> RunDescription:
        (tmp_path / name).mkdir(exist_ok=True)
        return RunDescription(
            layout=RunLayout(tmp_path / name),
            name=name,
            group="sweep 7",
            tags=("packed_wavenet", "mine"),
            config={"seed": 3, "model": {"channels": [3, 8]}, "audio_sha256": {"input": ["ab"]}},
            metrics=(VAL_LOSS, Metric("ESR", scale="ratio"), Metric("LL", better="higher")),
            suffixes=("_packed_0", "_packed_1"),
            summary={"model/macs_per_sample_packed_0": 76},
        )

    return build

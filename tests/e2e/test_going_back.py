"""A submodel that explodes goes back to its best state with half its rate; the other does not notice."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from namexp.engine.checkpoint import load_checkpoint
from namexp.tasks.capture.loss import CaptureLoss
from tests.e2e.test_resume import KINDS, _equal, _fail_at, _run, _state

pytestmark = pytest.mark.e2e

SETTINGS = [
    *KINDS["packed"], "optimizer=soap", "scheduler=warmup_cosine", "scheduler.options.warmup_steps=5",
    "trainer.max_epochs=3",
]  # fmt: skip
EPOCH = 9  # steps


def _spoil_at(monkeypatch: pytest.MonkeyPatch, step: int, by: float, *, row: int = 1) -> None:
    """Multiply the loss of a submodel in one step, counted from 0 (a validation has another)."""
    values, calls = CaptureLoss.values, iter(range(10**6))

    def broken(self: CaptureLoss, *arguments: Any) -> Any:
        found = values(self, *arguments)
        if next(calls) != step:
            return found
        spoilt = torch.ones(len(found), 1)
        spoilt[row] = by
        return found * spoilt

    monkeypatch.setattr(CaptureLoss, "values", broken)


def _weights(state: dict[str, Any], row: int) -> dict[str, Any]:
    return {name: value for name, value in state.items() if name.startswith(f"network.submodels.{row}.")}


def test_what_explodes_goes_back_alone_and_whoever_goes_on_knows(
    tmp_path: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plain = load_checkpoint(_run(tmp_path / "plain", pair, *SETTINGS).last_checkpoint)
    with monkeypatch.context() as patch, caplog.at_level(logging.INFO):
        _spoil_at(patch, EPOCH + 3, float("nan"))
        whole = _run(tmp_path / "whole", pair, *SETTINGS)
    spoilt = load_checkpoint(whole.last_checkpoint)
    _equal(_weights(spoilt["state_dict"], 0), _weights(plain["state_dict"], 0))
    assert all(value.isfinite().all() for value in _weights(spoilt["state_dict"], 1).values())
    assert [group["share"] for group in spoilt["optimizer_states"][0]["param_groups"]] == [1.0, 0.5]
    told = [record.message for record in caplog.records if "has exploded" in record.message]
    assert len(told) == 1
    assert told[0].startswith("epoch 2: val_loss of packed_1 has exploded: back to its best state (val_loss ")
    assert told[0].endswith("from now on with 0.5 of the learning rate")
    with monkeypatch.context() as patch:
        _spoil_at(patch, EPOCH + 3, float("nan"))
        _fail_at(patch, 2 * EPOCH + 2)  # it has gone back, and no checkpoint says so yet
        with pytest.raises(RuntimeError, match="the power is gone"):
            _run(tmp_path / "cut", pair, *SETTINGS)
    _equal(_state(_run(tmp_path / "cut", pair, *SETTINGS, resume="auto")), _state(whole))


def test_one_that_stands_alone_goes_back_too(
    tmp_path: Path, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = [*KINDS["wavenet"], "optimizer=soap", "trainer.max_epochs=3"]
    with monkeypatch.context() as patch:
        _spoil_at(patch, EPOCH + 3, float("nan"), row=0)
        last = load_checkpoint(_run(tmp_path / "back", pair, *settings).last_checkpoint)
    assert last["epoch"] == 2
    assert all(value.isfinite().all() for value in last["state_dict"].values())
    with monkeypatch.context() as patch:
        _spoil_at(patch, EPOCH + 3, float("nan"), row=0)
        never = _run(tmp_path / "never", pair, *settings, "optimizer.options.go_back_above=null")
    last = load_checkpoint(never.last_checkpoint)
    assert last["epoch"] == 1, "it has diverged, which ends it"

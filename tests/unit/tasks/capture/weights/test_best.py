"""The best weights of every submodel, each by its own val_loss."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.weights.best import BestSubmodels
from tests.captures import two_submodels

NAMES = ("small", "large")


@pytest.fixture(scope="module")
def task() -> CaptureModule:
    """A real task with two submodels."""
    return two_submodels([1])


class Weights:
    """Stands for the weights: the number of the epoch, whatever submodel is asked for."""

    epoch = -1

    def __call__(self, index: int) -> dict[str, Any]:
        return {"state_dict": {"weight": torch.tensor([float(self.epoch), float(index)])}}


def _validate(
    callback: BestSubmodels,
    task: CaptureModule,
    epoch: int,
    losses: tuple[float, float],
    *,
    sanity_checking: bool = False,
    is_global_zero: bool = True,
) -> None:
    metrics = {f"val_loss_packed_{i}": torch.tensor(loss) for i, loss in enumerate(losses)}
    trainer: Any = SimpleNamespace(
        callback_metrics={"val_loss": torch.tensor(losses).mean(), **metrics},
        sanity_checking=sanity_checking,
        is_global_zero=is_global_zero,
        current_epoch=epoch,
    )
    task.updates = 10 * (epoch + 1)
    callback.on_validation_end(trainer, task)


def _run(run: CaptureLayout, task: CaptureModule, losses: list[tuple[float, float]]) -> BestSubmodels:
    weights = Weights()
    callback = BestSubmodels(run, NAMES, weights)
    for epoch, pair in enumerate(losses):
        weights.epoch = epoch
        _validate(callback, task, epoch, pair)
    return callback


def _entry(index: int, metric: float, epoch: int) -> dict[str, Any]:
    return {
        "submodel_index": index,
        "submodel_name": NAMES[index],
        "best_metric": metric,
        "epoch": epoch,
        "step": 10 * (epoch + 1),
        "checkpoint_path": f"packed_best_submodel_{index}.ckpt",
    }


def _saved(run: CaptureLayout, index: int) -> tuple[float, dict[str, Any]]:
    """(epoch of the weights, the entry beside them), read without running any code of the file."""
    checkpoint = torch.load(run.packed_best_submodel(index), weights_only=True)
    epoch, own = checkpoint["state_dict"]["weight"].tolist()
    assert own == index
    return epoch, checkpoint["best"]


def _index(run: CaptureLayout) -> list[dict[str, Any]]:
    content = json.loads(run.packed_best.read_text())
    assert list(content) == ["submodels"]
    return content["submodels"]


SEQUENCE = (0.5, math.nan, 0.9, 0.4)  # bests: 0.5 in epoch 0, then 0.4 in epoch 3


@pytest.mark.parametrize("watched", [0, 1])
def test_nan_never_wins(tmp_path: Path, task: CaptureModule, watched: int) -> None:
    run = CaptureLayout(tmp_path)
    weights = Weights()
    callback = BestSubmodels(run, NAMES, weights)
    bests = []
    for epoch, loss in enumerate(SEQUENCE):
        weights.epoch = epoch
        _validate(callback, task, epoch, (loss, 1.0) if watched == 0 else (1.0, loss))
        bests.append((callback.bests[watched]["best_metric"], _saved(run, watched)[0]))
    first, last = (pytest.approx(0.5), 0.0), (pytest.approx(0.4), 3.0)
    assert bests == [first, first, first, last]
    assert _saved(run, 1 - watched)[0] == 0.0  # the other one stays with its own first


def test_every_submodel_has_a_best_of_its_own(tmp_path: Path, task: CaptureModule) -> None:
    run = CaptureLayout(tmp_path)
    _run(run, task, [(0.5, 0.25), (0.75, 0.125), (0.25, 0.5), (0.25, 0.5)])  # equal is not better
    expected = [_entry(0, 0.25, 2), _entry(1, 0.125, 1)]
    assert _index(run) == expected
    assert _saved(run, 0) == (2.0, expected[0])
    assert _saved(run, 1) == (1.0, expected[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "packed_best.json", "packed_best_submodel_0.ckpt", "packed_best_submodel_1.ckpt",
    ]  # fmt: skip


def test_a_submodel_without_a_finite_loss_is_not_listed(tmp_path: Path, task: CaptureModule) -> None:
    run = CaptureLayout(tmp_path)
    _run(run, task, [(math.nan, 0.5), (math.inf, 0.25), (-math.inf, 0.125)])
    assert _index(run) == [_entry(1, 0.125, 2)]
    assert not run.packed_best_submodel(0).exists()


def test_nothing_is_written_before_something_is_finite(tmp_path: Path, task: CaptureModule) -> None:
    _run(CaptureLayout(tmp_path), task, [(math.nan, math.inf)])
    assert list(tmp_path.iterdir()) == []


def test_the_sanity_check_does_not_count(tmp_path: Path, task: CaptureModule) -> None:
    callback = BestSubmodels(CaptureLayout(tmp_path), NAMES, Weights())
    _validate(callback, task, 0, (0.1, 0.1), sanity_checking=True)
    assert callback.bests == [{"best_metric": math.inf}] * 2
    assert list(tmp_path.iterdir()) == []


def test_only_the_first_process_writes(tmp_path: Path, task: CaptureModule) -> None:
    callback = BestSubmodels(CaptureLayout(tmp_path), NAMES, Weights())
    _validate(callback, task, 0, (0.5, 0.25), is_global_zero=False)
    assert [best["best_metric"] for best in callback.bests] == [0.5, 0.25]
    assert list(tmp_path.iterdir()) == []


def test_a_continued_run_goes_on_from_its_bests(tmp_path: Path, task: CaptureModule) -> None:
    run = CaptureLayout(tmp_path)
    first = _run(run, task, [(0.5, 0.25), (0.375, 0.5)])
    torch.save(first.state_dict(), tmp_path / "state.pt")

    weights = Weights()
    second = BestSubmodels(run, NAMES, weights)
    second.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert second.bests == first.bests
    weights.epoch = 2
    _validate(second, task, 2, (0.4375, 0.125))  # worse than 0.375; better than 0.25
    assert _index(run) == [_entry(0, 0.375, 1), _entry(1, 0.125, 2)]
    assert _saved(run, 0)[0] == 1.0
    assert _saved(run, 1)[0] == 2.0


def test_the_state_is_a_copy(tmp_path: Path, task: CaptureModule) -> None:
    callback = _run(CaptureLayout(tmp_path), task, [(0.5, 0.25)])
    state = callback.state_dict()
    _validate(callback, task, 1, (0.125, 0.125))
    assert state == {"bests": [_entry(0, 0.5, 0), _entry(1, 0.25, 0)]}


def test_state_before_anything_happened(tmp_path: Path, task: CaptureModule) -> None:
    fresh = BestSubmodels(CaptureLayout(tmp_path), NAMES, Weights())
    fresh.load_state_dict(BestSubmodels(CaptureLayout(tmp_path), NAMES, Weights()).state_dict())
    _validate(fresh, task, 0, (0.5, math.nan))
    assert _index(CaptureLayout(tmp_path)) == [_entry(0, 0.5, 0)]

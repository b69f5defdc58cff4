"""last.ckpt after every epoch, best.ckpt when the mean val_loss is the lowest so far."""

from __future__ import annotations

import math
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from namexp.engine.callbacks.checkpoints import Checkpoints
from namexp.runs.layout import RunLayout


def _end_epoch(
    callback: Checkpoints,
    epoch: int,
    val_loss: float | None,
    *,
    check_every: int | None = 1,
    is_global_zero: bool = True,
    fail: bool = False,
    interrupt: bool = False,
) -> None:
    def save_checkpoint(path: Path) -> None:
        if interrupt:
            signal.raise_signal(signal.SIGINT)
        path.write_text(f"epoch {epoch}, best {callback.state_dict()['best']}")
        if fail:
            raise OSError("no space left")

    trainer: Any = SimpleNamespace(
        callback_metrics={} if val_loss is None else {"val_loss": torch.tensor(val_loss)},
        current_epoch=epoch,
        check_val_every_n_epoch=check_every,
        is_global_zero=is_global_zero,
        save_checkpoint=save_checkpoint,
        fit_loop=SimpleNamespace(
            epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(is_last_batch=True))
        ),
    )
    callback.on_train_epoch_end(trainer, SimpleNamespace())


def test_nan_never_wins(tmp_path: Path) -> None:
    run = RunLayout(tmp_path)
    callback = Checkpoints(run)
    seen = []
    for epoch, loss in enumerate([0.5, math.nan, 0.875, 0.375]):
        _end_epoch(callback, epoch, loss)
        seen.append((callback.best, callback.best_epoch))
        assert run.last_checkpoint.read_text() == f"epoch {epoch}, best {callback.best}"
        assert run.best_checkpoint.read_text() == f"epoch {callback.best_epoch}, best {callback.best}"
    assert seen == [(0.5, 0), (0.5, 0), (0.5, 0), (0.375, 3)]
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, None])
def test_without_a_finite_loss_there_is_no_best(tmp_path: Path, loss: float | None) -> None:
    run = RunLayout(tmp_path)
    callback = Checkpoints(run)
    _end_epoch(callback, 0, loss)
    assert run.last_checkpoint.exists()
    assert not run.best_checkpoint.exists()
    assert (callback.best, callback.best_epoch) == (math.inf, None)


def test_an_equal_loss_is_not_better(tmp_path: Path) -> None:
    callback = Checkpoints(RunLayout(tmp_path))
    _end_epoch(callback, 0, 0.5)
    _end_epoch(callback, 1, 0.5)
    assert callback.best_epoch == 0


def test_an_epoch_without_validation_is_not_judged_by_an_old_one(tmp_path: Path) -> None:
    run = RunLayout(tmp_path)
    callback = Checkpoints(run)
    for epoch, loss in enumerate([None, 0.5, 0.5, 0.25, 0.25]):  # validated in epochs 1 and 3
        _end_epoch(callback, epoch, loss, check_every=2)
    assert (callback.best, callback.best_epoch) == (0.25, 3)
    callback.best = 1.0  # the metric still there would now be an improvement
    _end_epoch(callback, 4, 0.25, check_every=2)
    assert callback.best == 1.0
    assert run.best_checkpoint.read_text().startswith("epoch 3,")
    assert run.last_checkpoint.read_text().startswith("epoch 4,")


def test_a_save_that_fails_leaves_the_last_one_whole(tmp_path: Path) -> None:
    run = RunLayout(tmp_path)
    callback = Checkpoints(run)
    _end_epoch(callback, 0, 0.5)
    with pytest.raises(OSError, match="no space left"):
        _end_epoch(callback, 1, 0.25, fail=True)
    assert run.last_checkpoint.read_text() == "epoch 0, best 0.5"
    assert run.best_checkpoint.read_text() == "epoch 0, best 0.5"
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["best.ckpt", "last.ckpt"]


def test_a_continued_run_goes_on_from_its_best(tmp_path: Path) -> None:
    run = RunLayout(tmp_path)
    first = Checkpoints(run, lambda: 11)
    _end_epoch(first, 0, 0.5)
    _end_epoch(first, 1, 0.75)
    state = first.state_dict()
    assert state.pop("seconds") >= 0
    assert state == {"best": 0.5, "best_epoch": 0, "finished_epochs": 2, "metric_rows": 11}

    second = Checkpoints(run)
    second.load_state_dict({**state, "seconds": 1000.0})
    _end_epoch(second, 2, 0.625)
    assert run.best_checkpoint.read_text().startswith("epoch 0,")
    _end_epoch(second, 3, 0.375)
    assert run.best_checkpoint.read_text() == "epoch 3, best 0.375"
    assert second.state_dict()["best_epoch"] == 3
    assert second.state_dict()["finished_epochs"] == 4
    assert second.seconds >= 1000.0, "the time of all processes"


def test_a_save_that_is_cut_off_is_no_best(tmp_path: Path) -> None:
    callback = Checkpoints(RunLayout(tmp_path))
    _end_epoch(callback, 0, 0.5)
    with pytest.raises(OSError, match="no space left"):
        _end_epoch(callback, 1, 0.25, fail=True)
    state = callback.state_dict()
    assert (state["best"], state["best_epoch"], state["finished_epochs"]) == (0.5, 0, 1)


def test_the_best_is_there_before_the_last_tells_of_it(tmp_path: Path) -> None:
    run = RunLayout(tmp_path)
    run.checkpoints.mkdir(parents=True)
    run.best_checkpoint.mkdir()  # cannot be replaced by a file
    callback = Checkpoints(run)
    with pytest.raises(IsADirectoryError):
        _end_epoch(callback, 0, 0.5)
    assert not run.last_checkpoint.exists()


def test_ctrl_c_waits_until_all_is_saved(tmp_path: Path) -> None:
    run = RunLayout(tmp_path)
    callback = Checkpoints(run)
    _end_epoch(callback, 0, 0.5)
    with pytest.raises(KeyboardInterrupt):
        _end_epoch(callback, 1, 0.25, interrupt=True)
    assert (callback.best, callback.best_epoch, callback.finished_epochs) == (0.25, 1, 2)
    for path in (run.last_checkpoint, run.best_checkpoint):
        assert path.read_text() == "epoch 1, best 0.25"

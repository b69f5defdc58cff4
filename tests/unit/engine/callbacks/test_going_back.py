"""Which validation takes a network back, and to what."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import Parameter

from namexp.engine.callbacks.going_back import GoBack
from namexp.engine.module import TaskModule
from namexp.engine.optimizers.soap import SOAP


class _Rows(TaskModule):
    """Two rows of which only the losses matter."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.row_suffixes = ("_packed_0", "_packed_1")

    def validate(self, batch: Any) -> Any:
        raise AssertionError

    def validated(self, found: list[Any]) -> Any:
        raise AssertionError


def _trainer(groups: int) -> Any:
    torch.manual_seed(0)
    optimizer = SOAP(
        [{"params": [Parameter(torch.randn(3, 2)), Parameter(torch.randn(3))]} for _ in range(groups)]
    )
    return SimpleNamespace(
        optimizers=[optimizer], sanity_checking=False, callback_metrics={}, current_epoch=1
    )


def _learn(optimizer: SOAP, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.randn(p.shape, generator=generator)
    optimizer.step()


def _validated(callback: GoBack, trainer: Any, *losses: float) -> None:
    values = {"val_loss": sum(losses) / 2, "val_loss_packed_0": losses[0], "val_loss_packed_1": losses[1]}
    trainer.callback_metrics = {name: torch.tensor(value) for name, value in values.items()}
    callback.on_validation_end(trainer, _Rows())


@pytest.mark.parametrize(
    ("losses", "back"),
    [
        ([(1.0, 1.0), (9.9, 10.1)], [1]),
        ([(1.0, 1.0), (math.nan, 0.5)], [0]),
        ([(math.inf, math.nan)], [0, 1]),  # to the start
        ([(1.0, 5.0), (2.0, 0.4), (9.0, 3.9)], []),
        ([(1.0, 1.0), (0.1, 0.1), (1.1, 0.9)], [0]),  # of the best, not of the first
    ],
)
def test_who_goes_back(losses: list[tuple[float, float]], back: list[int]) -> None:
    trainer, callback = _trainer(2), GoBack(10.0)
    optimizer = trainer.optimizers[0]
    callback.on_train_start(trainer, _Rows())
    for seed, pair in enumerate(losses):
        _learn(optimizer, seed)
        _validated(callback, trainer, *pair)
    before = [[p.detach().clone() for p in group["params"]] for group in optimizer.param_groups]
    callback.on_train_epoch_start(trainer, _Rows())
    assert [group["share"] for group in optimizer.param_groups] == [0.5 if i in back else 1.0 for i in (0, 1)]
    for i, group in enumerate(optimizer.param_groups):
        moved = [not torch.equal(p, was) for p, was in zip(group["params"], before[i], strict=True)]
        assert any(moved) == (i in back)
    callback.on_train_epoch_start(trainer, _Rows())
    assert [group["share"] for group in optimizer.param_groups] == [0.5 if i in back else 1.0 for i in (0, 1)]


def test_it_learns_on_from_there_as_it_would_have_with_half_the_rate() -> None:
    trainer, other = _trainer(2), _trainer(2).optimizers[0]
    callback = GoBack(10.0)
    callback.on_train_start(trainer, _Rows())
    for seed in range(3):
        _learn(trainer.optimizers[0], seed)
        _learn(other, seed)
    _validated(callback, trainer, 1.0, 1.0)
    for seed in range(50, 54):
        _learn(trainer.optimizers[0], seed)
    _validated(callback, trainer, math.nan, 20.0)
    again = GoBack(10.0)
    again.load_state_dict(callback.state_dict())
    again.on_train_start(trainer, _Rows())
    again.on_train_epoch_start(trainer, _Rows())
    for group in other.param_groups:
        group["lr"] /= 2
    for seed in range(3, 16):
        _learn(trainer.optimizers[0], seed)
        _learn(other, seed)
    for group, same in zip(trainer.optimizers[0].param_groups, other.param_groups, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(group["params"], same["params"], strict=True))


def test_rows_that_share_their_weights_go_back_by_their_mean() -> None:
    trainer, callback = _trainer(1), GoBack(10.0)
    callback.on_train_start(trainer, _Rows())
    _learn(trainer.optimizers[0], 0)
    _validated(callback, trainer, 1.0, 1.0)
    _validated(callback, trainer, 12.0, 1.0)
    callback.on_train_epoch_start(trainer, _Rows())
    assert trainer.optimizers[0].param_groups[0]["share"] == 1.0
    _validated(callback, trainer, 30.0, 1.0)
    callback.on_train_epoch_start(trainer, _Rows())
    assert trainer.optimizers[0].param_groups[0]["share"] == 0.5

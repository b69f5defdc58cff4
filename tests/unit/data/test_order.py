from __future__ import annotations

import pytest
import torch

from namexp.data.order import EpochOrder
from namexp.errors import UserError


def _batches(order: EpochOrder, epoch: int) -> list[list[int]]:
    order.set_epoch(epoch)
    return list(order)


def test_an_epoch_is_a_permutation() -> None:
    order = EpochOrder(60, batch_size=5, seed=0)
    batches = _batches(order, 0)
    assert [len(batch) for batch in batches] == [5] * 12
    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(60))
    assert flat != list(range(60))


def test_the_order_is_a_function_of_seed_and_epoch_alone() -> None:
    first = EpochOrder(60, batch_size=5, seed=3)
    in_turn = [_batches(first, epoch) for epoch in range(4)]
    torch.manual_seed(12345)
    torch.rand(7)
    late = EpochOrder(60, batch_size=5, seed=3)
    assert _batches(late, 3) == in_turn[3]  # without having gone through 0, 1, 2
    assert _batches(late, 1) == in_turn[1]
    assert list(late) == in_turn[1]


def test_drawing_the_order_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    _batches(EpochOrder(60, batch_size=5, seed=3), 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_epochs_and_seeds_differ() -> None:
    orders = [
        str(_batches(EpochOrder(60, batch_size=5, seed=seed), epoch))
        for seed in range(5)
        for epoch in range(5)
    ]
    assert len(set(orders)) == 25


def test_the_largest_seed_works() -> None:
    order = EpochOrder(10, batch_size=5, seed=2**32 - 1)
    assert _batches(order, 1000) != _batches(order, 1001)


def test_a_smaller_last_batch_is_left_out() -> None:
    order = EpochOrder(13, batch_size=5, seed=0)
    assert len(order) == 2
    batches = _batches(order, 0)
    assert [len(batch) for batch in batches] == [5, 5]
    seen = {index for epoch in range(20) for batch in _batches(order, epoch) for index in batch}
    assert seen == set(range(13))  # it is not always the same ones that stay out


def test_a_single_batch_may_be_small() -> None:
    order = EpochOrder(3, batch_size=16, seed=0)
    assert len(order) == 1
    (batch,) = _batches(order, 0)
    assert sorted(batch) == [0, 1, 2]


@pytest.mark.parametrize("world_size", [1, 2, 3, 6])
def test_processes_share_the_batches_of_one_order(world_size: int) -> None:
    whole = EpochOrder(20, batch_size=6, seed=3)
    orders = [EpochOrder(20, batch_size=6, seed=3, rank=r, world_size=world_size) for r in range(world_size)]
    for epoch in (0, 4):
        shares = [_batches(order, epoch) for order in orders]
        assert {len(order) for order in orders} == {3}
        together = [[i for share in step for i in share] for step in zip(*shares, strict=True)]
        assert together == _batches(whole, epoch)
        assert {len(share) for step in shares for share in step} == {6 // world_size}


def test_a_batch_that_cannot_be_shared_equally_is_refused() -> None:
    with pytest.raises(UserError, match=r"data.batch_size \(= 5\): a batch has 5 windows .* 2 processes"):
        EpochOrder(20, batch_size=5, seed=0, rank=0, world_size=2, called="windows")
    # the only batch is smaller than batch_size
    with pytest.raises(UserError, match=r"a batch has 3 windows \(of 3\)"):
        EpochOrder(3, batch_size=16, seed=0, rank=0, world_size=2, called="windows")

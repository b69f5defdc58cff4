from __future__ import annotations

from collections import Counter

import pytest

from namexp.data.order import EpochOrder
from namexp.data.segments import Draw, DrawnBatches, place


def test_a_place_is_a_function_of_seed_turn_and_clip() -> None:
    # fixed for good: a resumed training must draw what it would have drawn
    assert [place(0, Draw(0, clip), 1000) for clip in range(4)] == [633, 96, 555, 750]
    draws = [
        place(seed, Draw(turn, clip), 10**6) for seed in range(3) for turn in range(5) for clip in range(9)
    ]
    assert len(set(draws)) == len(draws)


@pytest.mark.parametrize("places", [1, 2, 7])
def test_every_place_is_drawn_and_no_other(places: int) -> None:
    counts = Counter(place(3, Draw(turn, 5), places) for turn in range(2000))
    assert sorted(counts) == list(range(places))
    expected = 2000 / places
    # five standard deviations of a binomial count
    assert all(abs(n - expected) <= 5 * (expected * (1 - 1 / places)) ** 0.5 for n in counts.values())


def _epoch(draws: DrawnBatches, epoch: int) -> list[list[Draw]]:
    draws.set_epoch(epoch)
    return list(draws)


def _draws(num_batches: int | None = None, *, rank: int = 0, world_size: int = 1) -> DrawnBatches:
    order = EpochOrder(10, batch_size=4, seed=1, rank=rank, world_size=world_size)
    return DrawnBatches(order, num_batches=num_batches)


def test_an_epoch_is_one_turn_in_the_order_of_its_own() -> None:
    draws, order = _draws(), EpochOrder(10, batch_size=4, seed=1)
    for epoch in (0, 3):
        order.set_epoch(epoch)
        assert _epoch(draws, epoch) == [[Draw(epoch, clip) for clip in batch] for batch in order]
    assert len(draws) == 2
    assert _epoch(draws, 0) != _epoch(draws, 1)


def test_fewer_batches_are_the_first_of_every_epoch() -> None:
    whole, cut = _draws(), _draws(1)
    assert len(cut) == 1
    for epoch in range(3):
        assert _epoch(cut, epoch) == _epoch(whole, epoch)[:1]


def test_more_batches_than_clips_give_go_on_in_further_turns() -> None:
    draws = _draws(5)
    assert len(draws) == 5
    first, second = _epoch(draws, 0), _epoch(draws, 1)
    assert [batch[0].turn for batch in first] == [0, 0, 1, 1, 2]
    assert [batch[0].turn for batch in second] == [3, 3, 4, 4, 5]
    clips = [[draw.clip for draw in batch] for batch in first]
    assert clips[:2] != clips[2:4]


def test_processes_share_every_batch() -> None:
    parts = [_epoch(_draws(5, rank=rank, world_size=2), 1) for rank in range(2)]
    assert [a + b for a, b in zip(*parts, strict=True)] == _epoch(_draws(5), 1)


def test_lightning_finds_where_to_say_the_epoch() -> None:
    draws = _draws()
    assert draws.sampler is draws

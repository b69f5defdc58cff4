"""What processes share, with two real ones."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from namexp.ranks.shared import agreed, rank, total, world_size


def _in_group(work: Callable[[], Any], place: int, size: int, store: str) -> Any:
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=place, world_size=size)
    try:
        return work()
    finally:
        dist.destroy_process_group()


def together(work: Callable[[], Any], folder: Path, size: int) -> list[Any]:
    """What ``work`` returns in each of so many processes of one group."""
    with ProcessPoolExecutor(size, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(_in_group, work, i, size, str(folder / "store")) for i in range(size)]
        return [future.result(timeout=120) for future in futures]


def _said() -> dict[str, Any]:
    """Plain values, in an order that is kept."""
    return {"who": f"ü {rank()}", "numbers": [0.1, math.inf, None], "a": {}}


def _share() -> tuple[int, int, list[float], list[float], Any]:
    """A loss that is no mean of parts, f(s) = s_0 / s_1, as DistributedDataParallel would train it."""
    weight = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    sums = total(weight**2 * (rank() + 1))
    (sums[0] / sums[1]).backward()
    assert weight.grad is not None
    dist.all_reduce(weight.grad)
    average = weight.grad / world_size()
    return rank(), world_size(), sums.tolist(), average.tolist(), agreed(_said)


def test_sums_gradients_and_decisions(tmp_path: Path) -> None:
    first, second = together(_share, tmp_path, 2)
    assert (first[:2], second[:2]) == ((0, 2), (1, 2))
    assert first[2:] == second[2:]
    # Σ (r + 1) = 3, so s = (12, 27); f = (w_0 / w_1)², so f' = (2 w_0 / w_1², -2 w_0² / w_1³)
    assert first[2] == [12.0, 27.0]
    torch.testing.assert_close(torch.tensor(first[3]), torch.tensor([4 / 9, -8 / 27]))
    assert list(first[4].items()) == [("who", "ü 0"), ("numbers", [0.1, math.inf, None]), ("a", {})]
    assert list(second[4]) == list(first[4])


def test_alone_nothing_is_shared() -> None:
    x = torch.ones(3)
    assert total(x) is x
    assert (rank(), world_size(), agreed(lambda: "mine")) == (0, 1, "mine")

"""What the processes of a training know together. Alone, everything here does nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function

T = TypeVar("T")


def rank() -> int:
    """Of this process; 0 for the one that decides, writes and prints."""
    return dist.get_rank() if _together() else 0


def world_size() -> int:
    """How many processes train together now."""
    return dist.get_world_size() if _together() else 1


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()


def agreed(compute: Callable[[], T]) -> T:
    """What the first process computes, on all of them; they all have to call it."""
    if world_size() == 1:
        return compute()
    content: list[Any] = [compute() if rank() == 0 else None]
    dist.broadcast_object_list(content, src=0)
    result: T = content[0]
    return result


def total(x: Tensor) -> Tensor:
    """The sum of ``x`` over all processes, for a loss whose gradients are averaged over them.

    Every process computes the same loss f(x_0 + x_1 + ...), so each knows f' already. The gradient
    that reaches x_r is f' times the number of processes: DistributedDataParallel divides by that
    number when it adds the processes' gradients up.
    """
    if world_size() == 1:
        return x
    result: Tensor = _Total.apply(x)
    return result


class _Total(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        del ctx
        result = x.clone()
        dist.all_reduce(result)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        del ctx
        return gradients[0] * dist.get_world_size()

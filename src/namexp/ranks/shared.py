"""What the processes of a training know together. Alone, everything here does nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import torch
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
    """What the first process computes, on all of them; they all have to call it.

    Args:
        compute: gives plain values, as JSON has them: nothing else may come over a socket that other users
            of the machine can reach. Numbers arrive exactly; NaN and infinities too.
    """
    if world_size() == 1:
        return compute()
    where = "cpu" if dist.get_backend() != "nccl" else torch.device("cuda", torch.cuda.current_device())
    content = compute() if rank() == 0 else None
    text = bytearray(json.dumps(content).encode())
    length = torch.tensor([len(text)], device=where)
    dist.broadcast(length, src=0)
    if rank() == 0:
        told = torch.frombuffer(text, dtype=torch.uint8).to(where)
    else:
        told = torch.empty(int(length), dtype=torch.uint8, device=where)
    dist.broadcast(told, src=0)
    result: T = json.loads(bytes(told.cpu().numpy()))
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

"""Memory that a thread keeps from step to step: new pages cost as much as the work in them."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

MOST_FREE = 384 << 20  # bytes that wait for the next step; the jobs of a sweep need pieces of other sizes

_memory = threading.local()


def aligned(memory: Tensor) -> int:
    """The first address in ``memory`` that begins a cache line."""
    return (memory.data_ptr() + 63) // 64 * 64


def workspace(size: int) -> int:
    """The address of ``size`` bytes on a cache line, until the thread asks again."""
    own: Tensor | None = getattr(_memory, "workspace", None)
    if own is None or own.numel() < size + 64:
        _memory.workspace = None  # before the new one is there
        own = _memory.workspace = torch.empty(size + 64, dtype=torch.uint8)
    return aligned(own)


def borrow(size: int) -> Tensor:
    """Memory for ``size`` bytes until it is given back; a thread keeps what its last steps needed."""
    free: list[Tensor] = getattr(_memory, "free", [])
    for i, memory in enumerate(free):
        if size + 64 <= memory.numel() <= 2 * size + 64:
            return free.pop(i)
    return torch.empty(size + 64, dtype=torch.uint8)


def give_back(memory: Tensor) -> None:
    """The next one who borrows may have it; what was not borrowed for longest makes room."""
    free: list[Tensor] = [memory, *getattr(_memory, "free", [])]
    while len(free) > 1 and sum(piece.numel() for piece in free) > MOST_FREE:
        free.pop()
    _memory.free = free

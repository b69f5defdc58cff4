"""What takes the place of CUDA graphs on a machine without a GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from namexp.kernels.graphed import Computed, Recorder, Work


class _Listener(TorchDispatchMode):
    """Writes down every operation with the memory that it reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("operation not permitted when stream is capturing\nFor debugging ...")
        before = _aliases((args, kwargs or {}))
        result = func(*args, **(kwargs or {}))
        self.operations.append((func, *before, _aliases(result)))
        return result


class Tape(Recorder):
    """Does the same operations again on the same memory, as a CUDA graph does.

    What decided on them in Python is not asked again, and what is no operation of torch (a kernel
    in C++) is not on the tape. As after a capture, the results are undefined until a replay.
    """

    def __init__(self) -> None:
        self.warm_ups = self.recordings = self.replays = 0

    def warm_up(self, work: Work) -> Computed:
        self.warm_ups += 1
        return work()

    def record(self, work: Work) -> tuple[Computed, Callable[[], None]]:
        self.recordings += 1
        with _Listener() as tape:
            try:
                computed = work()
            except RuntimeError as error:  # torch's second complaint hides the first
                raise RuntimeError("operation failed due to a previous error during capture") from error
        for tensor in (computed.loss, computed.values, computed.gradient):
            tensor.fill_(torch.nan)

        @torch.no_grad()
        def again() -> None:
            self.replays += 1
            for func, args, kwargs, result in tape.operations:
                returns = zip(func._schema.returns, _several(result), strict=False)
                new = _several(func(*_aliases(args), **_aliases(kwargs)))
                for (declared, old), value in zip(returns, new, strict=True):
                    if old is not None and declared.alias_info is None:  # else its memory is written
                        for memory, content in zip(tree_leaves(old), tree_leaves(value), strict=True):
                            memory.copy_(content)

        return computed, again


def _aliases(tree: Any) -> Any:
    """The same memory in tensors of their own: some operations change the shape of what they get."""
    return tree_map_only(torch.Tensor, torch.Tensor.detach, tree)


def _several(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)

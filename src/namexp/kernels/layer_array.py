"""Layer arrays of WaveNets on the CPU: forward and backward in one pass each.

The way in and out of autograd; the work is done by the library of each array.
Letters: A arrays that are computed together, B batch, C channels, D condition size, H channels of the
head sum, O outputs of the head, L samples, R receptive field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from namexp.architectures.wavenet import LayerArraySpec
from namexp.kernels.array_library import Kernel, Signal, is_narrow, kernels
from namexp.kernels.compiler import UnavailableError
from namexp.kernels.fallback import told_once
from namexp.kernels.memory import aligned, borrow, give_back

KEPT_BYTES = 384 << 20  # of activations, between forward and backward
KEPT_THREADS = 4  # with more, the memory is slower than computing them again


@dataclass(frozen=True)
class ArrayInputs:
    """What one array gets.

    Attributes:
        spec: the array.
        parameters: in the order of a file.
        x: (B, input_size, L).
        condition: (B, D, at least L), aligned at the end.
        head_input: (B, H, at least what the head sum has), aligned at the end; None: zero.
        residual: whether the last layer's residual is wanted.
    """

    spec: LayerArraySpec
    parameters: tuple[Tensor, ...]
    x: Tensor
    condition: Tensor
    head_input: Tensor | None
    residual: bool


def layer_arrays(arrays: Sequence[ArrayInputs]) -> list[tuple[Tensor | None, Tensor]] | None:
    """Compute arrays that do not depend on each other, all items of all of them side by side.

    Returns:
        For each (B, C, L - R + 1) or None, and (B, O, L - R + 1). None where no kernel does this; a
        line tells why, unless torch is as good: wide arrays, another device or precision.
    """
    if not all(_is_plain(array) for array in arrays):
        return None
    try:
        found = kernels([array.spec for array in arrays])
    except UnavailableError as error:
        told_once("the network", str(error))
        return None
    tensors: list[Tensor | None] = []
    for array in arrays:
        tensors += [array.x, array.condition, array.head_input, *_parameters(array)]
    learns = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    outputs = _LayerArrays.apply(found, [array.residual for array in arrays], learns, *tensors)
    return [(outputs[2 * i], outputs[2 * i + 1]) for i in range(len(arrays))]


def _parameters(array: ArrayInputs) -> list[Tensor]:
    """Its parameters; those that nothing depends on, the last layer's 1x1 without a residual, detached.

    They have no gradient then, as with torch: an optimiser does not let them decay, and processes that
    train together see that they take no part.
    """
    parameters = list(array.parameters)
    spec = array.spec
    if not array.residual and spec.layer1x1.active:
        end = len(parameters) - (2 if spec.head1x1.active else 0) - (2 if spec.head.bias else 1)
        parameters[end - 2 : end] = [p.detach() for p in parameters[end - 2 : end]]
    return parameters


def _is_plain(array: ArrayInputs) -> bool:
    """Whether it is narrow, in this machine's memory as float32, and torch computes rather than traces."""
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling() or not is_narrow(array.spec):
        return False
    tensors = (array.x, array.condition, *array.parameters)
    return all(t.device.type == "cpu" and t.dtype == torch.float32 for t in tensors)


class _LayerArrays(torch.autograd.Function):
    """All arrays' signals and parameters in, (residual, head) of each out."""

    @staticmethod
    def forward(
        ctx: Any, found: list[Kernel], residuals: list[bool], learns: bool, *tensors: Tensor | None
    ) -> Any:
        works = _works(found, residuals, tensors)
        outputs: list[Tensor | None] = []
        for work in works:
            outputs += [work.allocate_out(), work.allocate_head()]
        ctx.found, ctx.residuals = found, residuals
        ctx.kept = _keep(works) if learns else []
        _run(works, [(work.kernel.forward, work.sizes.forward) for work in works])
        ctx.save_for_backward(*tensors)
        return tuple(outputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        works = _works(ctx.found, ctx.residuals, ctx.saved_tensors)
        kept, ctx.kept = ctx.kept, []  # it is given back below: a second backward computes it again
        _point_to(works, kept)
        wanted = ctx.needs_input_grad[3:]
        start = 0
        for i, work in enumerate(works):
            stop = start + work.num_tensors
            work.allocate_gradients(gradients[2 * i], gradients[2 * i + 1], wanted[start:stop])
            start = stop
        again = [0 if kept else work.sizes.kept + work.sizes.forward for work in works]
        sizes = [work.sizes.backward + more for work, more in zip(works, again, strict=True)]
        _run(works, [(work.kernel.backward, size) for work, size in zip(works, sizes, strict=True)])
        for memory in kept:
            give_back(memory)
        return (None, None, None, *(gradient for work in works for gradient in work.gradients()))


def _keep(works: Sequence[_Work]) -> list[Tensor]:
    """Memory for what forward keeps, one piece for each array; empty where backward computes it again."""
    sizes = [work.sizes.kept * work.items for work in works]
    if sum(sizes) > KEPT_BYTES or torch.get_num_threads() > KEPT_THREADS:
        return []
    kept = [borrow(size) for size in sizes]
    _point_to(works, kept)
    return kept


def _point_to(works: Sequence[_Work], kept: list[Tensor]) -> None:
    for work, memory in zip(works, kept, strict=bool(kept)):
        work.call.kept = aligned(memory)
        work.call.kept_size = work.sizes.kept


class _Work:
    """One array's call with the tensors that it points into."""

    def __init__(self, kernel: Kernel, residual: bool, tensors: Sequence[Tensor | None]) -> None:
        x, condition, head_input, *parameters = tensors
        assert x is not None
        assert condition is not None
        self.kernel, self.residual = kernel, residual
        self.x, self.condition, self.head_input, self.parameters = x, condition, head_input, parameters
        spec = kernel.spec
        self.items, _, self.length = x.shape
        self.head_length = self.length - kernel.past
        self.out_length = self.length - spec.receptive_field + 1
        self.call = kernel.call(length=self.length, residual=residual)
        self.sizes = kernel.measure(self.call)
        self._kept: list[Tensor] = []
        flat = torch.cat([p.detach().reshape(-1) for p in parameters if p is not None])
        assert flat.numel() == self.sizes.parameters, "the parameters are those of the array"
        self.call.parameters = self._keep(flat).data_ptr()
        self.call.packed = self._keep(x.new_empty(self.sizes.packed)).data_ptr()
        self.call.x = self._signal(x)
        self.call.condition = self._signal(condition[..., -self.length :])
        if head_input is not None:
            self.call.head_input = self._signal(head_input[..., -self.head_length :])
        kernel.pack(self.call)

    @property
    def num_tensors(self) -> int:
        return 3 + len(self.parameters)

    def _keep(self, tensor: Tensor) -> Tensor:
        self._kept.append(tensor)  # as long as the call points into it
        return tensor

    def _signal(self, tensor: Tensor | None) -> Signal:
        if tensor is None:
            return Signal()
        if tensor.stride(-1) != 1:
            tensor = tensor.contiguous()
        self._keep(tensor)
        return Signal(tensor.data_ptr(), tensor.stride(0), tensor.stride(1))

    def _new(self, rows: int, length: int) -> Tensor:
        return self._keep(self.x.new_empty(self.items, rows, length))

    def allocate_out(self) -> Tensor | None:
        if not self.residual:
            return None
        out = self._new(self.kernel.spec.channels, self.out_length)
        self.call.out = self._signal(out)
        return out

    def allocate_head(self) -> Tensor:
        head = self._new(self.kernel.spec.head.out_channels, self.out_length)
        self.call.head = self._signal(head)
        return head

    def allocate_gradients(self, g_out: Tensor | None, g_head: Tensor | None, wanted: Sequence[bool]) -> None:
        self.call.g_out = self._signal(g_out)
        self.call.g_head = self._signal(g_head)
        self.g_signals: list[Tensor | None] = [None, None, None]
        signals = (("g_x", self.x, self.length), ("g_condition", self.condition, self.length))
        for i, (name, signal, used) in enumerate(
            (*signals, ("g_head_input", self.head_input, self.head_length))
        ):
            if wanted[i]:
                assert signal is not None
                gradient = signal.new_empty(signal.shape)
                unused = signal.shape[-1] - used
                gradient[..., :unused] = 0
                self.g_signals[i] = gradient
                setattr(self.call, name, self._signal(gradient[..., unused:]))
        self.wanted_parameters = wanted[3:]
        self.g_parameters = self._keep(self.x.new_empty(self.items, self.sizes.parameters))
        self.call.g_parameters = self.g_parameters.data_ptr()

    def gradients(self) -> list[Tensor | None]:
        gradients = list(self.g_signals)
        total = self.g_parameters.sum(dim=0)
        start = 0
        for parameter, wanted in zip(self.parameters, self.wanted_parameters, strict=True):
            assert parameter is not None
            stop = start + parameter.numel()
            gradients.append(total[start:stop].view(parameter.shape) if wanted else None)
            start = stop
        return gradients


def _works(
    found: Sequence[Kernel], residuals: Sequence[bool], tensors: Sequence[Tensor | None]
) -> list[_Work]:
    works = []
    start = 0
    for kernel, residual in zip(found, residuals, strict=True):
        stop = start + 3 + num_parameters(kernel.spec)
        works.append(_Work(kernel, residual, tensors[start:stop]))
        start = stop
    return works


@cache
def num_parameters(spec: LayerArraySpec) -> int:
    """How many tensors an array has."""
    of_layer = 3 + (2 if spec.layer1x1.active else 0) + (2 if spec.head1x1.active else 0)
    return 2 + (1 if spec.head.bias else 0) + of_layer * len(spec.layers)


def _run(works: Sequence[_Work], functions: Sequence[tuple[int, int]]) -> None:
    """The items of the costliest array first, so that no thread ends long after the others."""
    order = sorted(range(len(works)), key=lambda i: -works[i].sizes.parameters)
    tasks = [(functions[i][0], works[i].call, item) for i in order for item in range(works[i].items)]
    works[0].kernel.run(tasks, max(size for _, size in functions))

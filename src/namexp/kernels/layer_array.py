"""Layer arrays of WaveNets on the CPU: forward and backward in one pass each, nothing saved.

The arithmetic is in ``native/layer_array.hpp``; here is which array it can do, the text that compiles
it for one shape, and the way in and out of autograd.
Letters: A arrays that are computed together, B batch, C channels, D condition size, H channels of the
head sum, O outputs of the head, L samples, R receptive field.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

from namexp.kernels.compiler import UnavailableError, load, switched_off
from namexp.kernels.fallback import told_once
from namexp.schema.activation import ActivationSpec
from namexp.schema.wavenet import FILM_SITES, LayerArraySpec, LayerSpec

CHUNK = 36864  # numbers of one signal in a chunk: three such signals fit into the second cache
BLOCK = 768  # samples; a chunk is some of them
KEPT_BYTES = 384 << 20  # of activations, between forward and backward
KEPT_THREADS = 4  # with more, the memory is slower than computing them again
MOST_FREE = 4  # pieces of memory between two steps: one for each call of a forward
MAX_WIDTH = 64  # channels beyond which torch's matrix products are as good


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


def why_not(spec: LayerArraySpec) -> str | None:
    """The feature of ``spec`` that the kernel lacks; None where it has all."""
    active = [site for site in FILM_SITES if spec.film(site).active]
    if active:
        return f"{active[0]} is active"
    for layer in spec.layers:
        for activation in (layer.activation, layer.secondary_activation):
            if activation is None:
                continue
            if activation.learned:
                return f"{activation.type} is learned"
            if activation.type == "LeakyReLU" and activation.get("negative_slope") < 0:
                return "the LeakyReLU has a negative slope below 0"
    widest = max(spec.channels, spec.bottleneck, spec.head_in_channels, spec.input_size)
    if widest > MAX_WIDTH:
        return f"{widest} channels are more than {MAX_WIDTH}"
    return None


def source(spec: LayerArraySpec) -> str:
    """The C++ text of the library for arrays of this shape."""
    head, one, to_head = spec.head, spec.layer1x1, spec.head1x1
    numbers = {
        "INPUTS": spec.input_size,
        "C": spec.channels,
        "B": spec.bottleneck,
        "D": spec.condition_size,
        "H": spec.head_in_channels,
        "OUTPUTS": head.out_channels,
        "HEAD_KERNEL": head.kernel_size,
        "HEAD_DILATION": head.dilation,
        "HEAD_BIAS": int(head.bias),
        "GROUPS_INPUT": spec.groups_input,
        "GROUPS_MIX": spec.groups_input_mixin,
        "LAYER1X1": int(one.active),
        "GROUPS_LAYER1X1": one.groups if one.active else 1,
        "HEAD1X1": int(to_head.active),
        "GROUPS_HEAD1X1": to_head.groups if to_head.active else 1,
    }
    constants = "".join(f"  static constexpr int {name} = {value};\n" for name, value in numbers.items())
    kinds = ", ".join(f"namexp::Layer<Shape, {kind}>::kind()" for kind in _kinds(spec))
    return (
        '#include "array_items.hpp"\nusing namespace namexp;\n'
        f"struct Shape {{\n{constants}}};\n"
        f"static const Kind kinds[] = {{{kinds}}};\n"
        "NAMEXP_LIBRARY(Shape)\n"
    )


def _kind(layer: LayerSpec) -> str:
    """What the compiled code of a layer depends on."""
    secondary = layer.secondary_activation
    if secondary is None:
        between = f"Single<{layer.activation.type}>"
    else:
        name = "Gated" if layer.gating_mode == "gated" else "Blended"
        between = f"{name}<{layer.activation.type}, {secondary.type}>"
    return f"{layer.kernel_size}, {between}"


def _kinds(spec: LayerArraySpec) -> list[str]:
    return sorted({_kind(layer) for layer in spec.layers})


# --- the plain C interface ------------------------------------------------------------------------------


class _Layer(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int64),
        ("dilation", ctypes.c_int64),
        ("activation", ctypes.c_float * 4),
        ("gate", ctypes.c_float * 4),
    )


class _Signal(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("item_stride", ctypes.c_int64), ("row_stride", ctypes.c_int64))


class _Call(ctypes.Structure):
    _fields_ = (
        ("num_layers", ctypes.c_int64),
        ("length", ctypes.c_int64),
        ("residual", ctypes.c_int64),
        ("chunk", ctypes.c_int64),
        ("layers", ctypes.c_void_p),
        ("parameters", ctypes.c_void_p),
        ("packed", ctypes.c_void_p),
        *(
            (name, _Signal)
            for name in (
                *("x", "condition", "head_input", "out", "head"),
                *("g_out", "g_head", "g_x", "g_condition", "g_head_input"),
            )
        ),
        ("g_parameters", ctypes.c_void_p),
        ("kept", ctypes.c_void_p),
        ("kept_size", ctypes.c_int64),
    )


class _Task(ctypes.Structure):
    _fields_ = (("work", ctypes.c_void_p), ("call", ctypes.c_void_p), ("item", ctypes.c_int64))


@dataclass(frozen=True)
class Sizes:
    """What a call needs: bytes for a thread, forward and backward, and for an item; counts of floats."""

    forward: int
    backward: int
    kept: int
    packed: int
    parameters: int


class Kernel:
    """The compiled library for one array."""

    def __init__(self, spec: LayerArraySpec, library: ctypes.CDLL) -> None:
        self.spec = spec
        self._library = library
        library.namexp_forward.restype = ctypes.c_void_p
        library.namexp_backward.restype = ctypes.c_void_p
        self.forward: int = library.namexp_forward()
        self.backward: int = library.namexp_backward()
        kinds = _kinds(spec)
        self._layers = (_Layer * len(spec.layers))(*(_layer(layer, kinds) for layer in spec.layers))

    @cached_property
    def past(self) -> int:
        """Samples by which the layers shorten a signal."""
        return sum((layer.kernel_size - 1) * layer.dilation for layer in self.spec.layers)

    def call(self, *, length: int, residual: bool) -> _Call:
        """A call for ``length`` samples, without its signals."""
        return _Call(
            num_layers=len(self.spec.layers),
            length=length,
            residual=residual,
            chunk=_chunk(self.spec),
            layers=ctypes.addressof(self._layers),
        )

    def measure(self, call: _Call) -> Sizes:
        """What ``call`` needs."""
        sizes = (ctypes.c_int64 * 5)()
        self._library.namexp_measure(ctypes.byref(call), sizes)
        return Sizes(*sizes)

    def pack(self, call: _Call) -> None:
        """Bring the parameters into the order of use."""
        self._library.namexp_pack(ctypes.byref(call))

    def run(self, tasks: Sequence[tuple[int, _Call, int]], workspace: int) -> None:
        """Run (work, call, item) of any kernels on torch's number of threads."""
        array = (_Task * len(tasks))(
            *(_Task(work, ctypes.addressof(call), item) for work, call, item in tasks)
        )
        threads = max(1, min(torch.get_num_threads(), len(tasks)))
        start = _workspace(threads * workspace)
        self._library.namexp_run(
            array,
            ctypes.c_int64(len(tasks)),
            ctypes.c_int64(threads),
            ctypes.c_void_p(start),
            ctypes.c_int64(workspace),
        )


_memory = threading.local()


def _aligned(memory: Tensor) -> int:
    """The first address in ``memory`` that begins a cache line."""
    return (memory.data_ptr() + 63) // 64 * 64


def _workspace(size: int) -> int:
    """The address of ``size`` bytes, kept by the thread: new pages cost as much as the work in them."""
    own: Tensor | None = getattr(_memory, "workspace", None)
    if own is None or own.numel() < size + 64:
        _memory.workspace = None  # before the new one is there
        own = _memory.workspace = torch.empty(size + 64, dtype=torch.uint8)
    return _aligned(own)


def _borrow(size: int) -> Tensor:
    """Memory for ``size`` bytes until it is given back; a thread keeps what its last steps needed."""
    free: list[Tensor] = getattr(_memory, "free", [])
    for i, memory in enumerate(free):
        if size + 64 <= memory.numel() <= 2 * size + 64:
            return free.pop(i)
    return torch.empty(size + 64, dtype=torch.uint8)


def _give_back(memory: Tensor) -> None:
    _memory.free = [memory, *getattr(_memory, "free", [])][:MOST_FREE]


def _chunk(spec: LayerArraySpec) -> int:
    """Samples that go through all layers before time goes on."""
    return max(1, CHUNK // max(spec.channels, spec.bottleneck) // BLOCK) * BLOCK


def _layer(layer: LayerSpec, kinds: list[str]) -> _Layer:
    def numbers(activation: ActivationSpec | None) -> Any:
        values = [value for _, value in activation.parameters] if activation else []
        return (ctypes.c_float * 4)(*values)

    return _Layer(
        kinds.index(_kind(layer)),
        layer.dilation,
        numbers(layer.activation),
        numbers(layer.secondary_activation),
    )


def kernels(specs: Sequence[LayerArraySpec]) -> list[Kernel]:
    """The compiled kernels for the arrays; those that are not in the cache are compiled at once.

    Raises:
        UnavailableError: one of them cannot be had.
    """
    if switched_off():
        raise UnavailableError("NAMEXP_KERNELS is off")
    found = _kernels(tuple(specs))
    if isinstance(found, UnavailableError):
        raise found
    return list(found)


@cache
def _kernels(specs: tuple[LayerArraySpec, ...]) -> tuple[Kernel, ...] | UnavailableError:
    """The kernels, or why there are none: not tried again in every step."""
    try:
        for spec in specs:
            _check(spec)
        sources = {f"{_shape_in_words(spec)} ({i + 1})": source(spec) for i, spec in enumerate(specs)}
        return tuple(Kernel(spec, library) for spec, library in zip(specs, load(sources), strict=True))
    except UnavailableError as error:
        return error


def _check(spec: LayerArraySpec) -> None:
    reason = why_not(spec)
    if reason:
        raise UnavailableError(reason)


def _shape_in_words(spec: LayerArraySpec) -> str:
    return f"{len(spec.layers)} layers of {spec.channels} channels"


# --- autograd -----------------------------------------------------------------------------------------------


def layer_arrays(arrays: Sequence[ArrayInputs]) -> list[tuple[Tensor | None, Tensor]] | None:
    """Compute arrays that do not depend on each other, all items of all of them side by side.

    Returns:
        For each (B, C, L - R + 1) or None, and (B, O, L - R + 1). None where no kernel does this; a
        line tells why, unless it is the device or the precision.
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
        tensors += [array.x, array.condition, array.head_input, *array.parameters]
    learns = torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)
    outputs = _LayerArrays.apply(found, [array.residual for array in arrays], learns, *tensors)
    return [(outputs[2 * i], outputs[2 * i + 1]) for i in range(len(arrays))]


def _is_plain(array: ArrayInputs) -> bool:
    """Whether everything lies in this machine's memory as float32, and torch computes rather than traces."""
    if torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
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
        kept, ctx.kept = ctx.kept, []  # backward overwrites it: a second one computes it again
        _point_to(works, kept)
        wanted = ctx.needs_input_grad[3:]
        start = 0
        for i, work in enumerate(works):
            stop = start + work.num_tensors
            work.allocate_gradients(gradients[2 * i], gradients[2 * i + 1], wanted[start:stop])
            start = stop
        again = [0 if kept else work.sizes.kept for work in works]
        sizes = [work.sizes.backward + more for work, more in zip(works, again, strict=True)]
        _run(works, [(work.kernel.backward, size) for work, size in zip(works, sizes, strict=True)])
        for memory in kept:
            _give_back(memory)
        return (None, None, None, *(gradient for work in works for gradient in work.gradients()))


def _keep(works: Sequence[_Work]) -> list[Tensor]:
    """Memory for what forward keeps, one piece for each array; empty where backward computes it again."""
    sizes = [work.sizes.kept * work.items for work in works]
    if sum(sizes) > KEPT_BYTES or torch.get_num_threads() > KEPT_THREADS:
        return []
    kept = [_borrow(size) for size in sizes]
    _point_to(works, kept)
    return kept


def _point_to(works: Sequence[_Work], kept: list[Tensor]) -> None:
    for work, memory in zip(works, kept, strict=bool(kept)):
        work.call.kept = _aligned(memory)
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

    def _signal(self, tensor: Tensor | None) -> _Signal:
        if tensor is None:
            return _Signal()
        if tensor.stride(-1) != 1:
            tensor = tensor.contiguous()
        self._keep(tensor)
        return _Signal(tensor.data_ptr(), tensor.stride(0), tensor.stride(1))

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
        sizes = [(self.kernel.spec.input_size, self.length), (self.kernel.spec.condition_size, self.length)]
        sizes.append((self.kernel.spec.head_in_channels, self.head_length))
        for i, name in enumerate(("g_x", "g_condition", "g_head_input")):
            if wanted[i]:
                self.g_signals[i] = self._new(*sizes[i])
                setattr(self.call, name, self._signal(self.g_signals[i]))
        self.wanted_parameters = wanted[3:]
        self.g_parameters = self._keep(self.x.new_empty(self.items, self.sizes.parameters))
        self.call.g_parameters = self.g_parameters.data_ptr()

    def gradients(self) -> list[Tensor | None]:
        g_x, g_condition, g_head_input = self.g_signals
        gradients = [
            g_x,
            _lengthened(g_condition, self.condition),
            _lengthened(g_head_input, self.head_input),
        ]
        total = self.g_parameters.sum(dim=0)
        start = 0
        for parameter, wanted in zip(self.parameters, self.wanted_parameters, strict=True):
            assert parameter is not None
            stop = start + parameter.numel()
            gradients.append(total[start:stop].view(parameter.shape) if wanted else None)
            start = stop
        for i in self._unused():
            gradients[3 + i] = None
        return gradients

    def _unused(self) -> list[int]:
        """Places of the parameters that nothing depends on: the last layer's 1x1 without a residual."""
        spec = self.kernel.spec
        if self.residual or not spec.layer1x1.active:
            return []
        after = 2 + (2 if spec.head1x1.active else 0)  # of the last layer's head1x1 and the head
        after -= 0 if spec.head.bias else 1
        end = len(self.parameters) - after
        return [end - 2, end - 1]


def _lengthened(gradient: Tensor | None, signal: Tensor | None) -> Tensor | None:
    if gradient is None or signal is None:
        return None
    missing = signal.shape[-1] - gradient.shape[-1]
    return torch.nn.functional.pad(gradient, (missing, 0)) if missing else gradient


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

"""The compiled library of one layer array: its text, its plain C interface, and what calls it.

The arithmetic is in ``native/layer_array.hpp``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import torch

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.wavenet import FILM_SITES, LayerArraySpec, LayerSpec
from namexp.kernels.compiler import UnavailableError, load, switched_off
from namexp.kernels.memory import workspace
from namexp.kernels.texts import array_text, layer_kind, layer_kinds

CHUNK = 36864  # numbers of one signal in a chunk: all layers go through it before time goes on
BLOCK = 768  # samples; a chunk is some of them
MAX_WIDTH = 64  # channels beyond which torch's matrix products are as good


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
    return None


def is_narrow(spec: LayerArraySpec) -> bool:
    """Whether the kernel is the faster way."""
    return max(spec.channels, spec.bottleneck, spec.head_in_channels, spec.input_size) <= MAX_WIDTH


# --- the plain C interface ------------------------------------------------------------------------------


class _Layer(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int64),
        ("dilation", ctypes.c_int64),
        ("activation", ctypes.c_float * 4),
        ("gate", ctypes.c_float * 4),
    )


class Signal(ctypes.Structure):
    """(items, rows, samples); a null pointer where there is none."""

    _fields_ = (("data", ctypes.c_void_p), ("item_stride", ctypes.c_int64), ("row_stride", ctypes.c_int64))


class Call(ctypes.Structure):
    """What one array's tasks share; field by field ``Call`` of ``native/layer_array.hpp``."""

    _fields_ = (
        ("num_layers", ctypes.c_int64),
        ("length", ctypes.c_int64),
        ("residual", ctypes.c_int64),
        ("chunk", ctypes.c_int64),
        ("layers", ctypes.c_void_p),
        ("parameters", ctypes.c_void_p),
        ("packed", ctypes.c_void_p),
        *(
            (name, Signal)
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
        kinds = layer_kinds(spec)
        self._layers = (_Layer * len(spec.layers))(*(_layer(layer, kinds) for layer in spec.layers))

    @cached_property
    def past(self) -> int:
        """Samples by which the layers shorten a signal."""
        return sum((layer.kernel_size - 1) * layer.dilation for layer in self.spec.layers)

    def call(self, *, length: int, residual: bool) -> Call:
        """A call for ``length`` samples, without its signals."""
        return Call(
            num_layers=len(self.spec.layers),
            length=length,
            residual=residual,
            chunk=_chunk(self.spec),
            layers=ctypes.addressof(self._layers),
        )

    def measure(self, call: Call) -> Sizes:
        """What ``call`` needs."""
        sizes = (ctypes.c_int64 * 5)()
        self._library.namexp_measure(ctypes.byref(call), sizes)
        return Sizes(*sizes)

    def pack(self, call: Call) -> None:
        """Bring the parameters into the order of use."""
        self._library.namexp_pack(ctypes.byref(call))

    def run(self, tasks: Sequence[tuple[int, Call, int]], size: int) -> None:
        """Run (work, call, item) of any kernels on torch's number of threads, ``size`` bytes for each."""
        array = (_Task * len(tasks))(
            *(_Task(work, ctypes.addressof(call), item) for work, call, item in tasks)
        )
        threads = max(1, min(torch.get_num_threads(), len(tasks)))
        start = workspace(threads * size)
        self._library.namexp_run(
            array,
            ctypes.c_int64(len(tasks)),
            ctypes.c_int64(threads),
            ctypes.c_void_p(start),
            ctypes.c_int64(size),
        )


def _chunk(spec: LayerArraySpec) -> int:
    """Samples that go through all layers before time goes on."""
    return max(1, CHUNK // max(spec.channels, spec.bottleneck) // BLOCK) * BLOCK


def _layer(layer: LayerSpec, kinds: list[str]) -> _Layer:
    def numbers(activation: ActivationSpec | None) -> Any:
        values = [value for _, value in activation.parameters] if activation else []
        return (ctypes.c_float * 4)(*values)

    return _Layer(
        kinds.index(layer_kind(layer)),
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
        sources = {f"{_shape_in_words(spec)} ({i + 1})": array_text(spec) for i, spec in enumerate(specs)}
        return tuple(Kernel(spec, library) for spec, library in zip(specs, load(sources), strict=True))
    except UnavailableError as error:
        return error


def _check(spec: LayerArraySpec) -> None:
    reason = why_not(spec)
    if reason:
        raise UnavailableError(reason)


def _shape_in_words(spec: LayerArraySpec) -> str:
    return f"{len(spec.layers)} layers of {spec.channels} channels"

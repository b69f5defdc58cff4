"""Forward, loss and backward of one batch as one CUDA graph.

A training step of a small network is some 1600 launches of kernels, and launching one takes longer
than running it. A graph launches them all at once. The optimiser's step is not part of it: fused it
is a handful of launches, and outside the graph all that happens between gradients and weights
(clipping, schedules, weights that are held, checkpoints) stays what it is on every other device.
Letters: B batch, L samples, S submodels, K numbers in all gradients.
"""

from __future__ import annotations

import gc
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from namexp.kernels.compiler import switched_off
from namexp.kernels.fallback import told_once

WARM_UPS = 3  # as torch's notes on CUDA graphs ask: libraries choose and allocate when first called
MAX_GRAPHS = 16  # each keeps the memory of its results; more kinds of batches are computed step by step

Compute = Callable[[Mapping[str, Tensor], Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass
class Computed:
    """What one batch gave, in memory that a graph writes again at every replay.

    Attributes:
        loss: scalar.
        values: (S, terms).
        gradient: (K,) of the loss by all parameters that take part, one after the other.
        takes_part: for each parameter, whether the loss depends on it.
        replays: how often the graph has written it.
    """

    loss: Tensor
    values: Tensor
    gradient: Tensor
    takes_part: tuple[bool, ...]
    replays: int = 0


Work = Callable[[], Computed]


class Recorder(ABC):
    """Records work on a device so that one command does it again."""

    @abstractmethod
    def warm_up(self, work: Work) -> Computed:
        """Do ``work`` in the surroundings in which it will be recorded."""

    @abstractmethod
    def record(self, work: Work) -> tuple[Computed, Callable[[], None]]:
        """Record ``work``, which need not be done by that.

        Returns:
            Where its results will lie, and what does it again on the same memory.

        Raises:
            RuntimeError: something in it cannot be recorded; all else is as it was.
        """


class CudaGraphs(Recorder):
    """Graphs of one device that share their memory: they never run at the same time."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Work) -> Computed:
        """Do ``work`` on the stream of the recordings."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            computed = work()
        current.wait_stream(self._stream)
        return computed

    def record(self, work: Work) -> tuple[Computed, Callable[[], None]]:
        """Capture ``work``.

        Raises:
            RuntimeError: an operation waits for the device, or memory is short.
        """
        gc.collect()  # now rather than in the midst of it: what is freed may be a graph
        current = torch.cuda.current_stream(self._device)
        generator = torch.cuda.default_generators[current.device_index]
        random_state = generator.clone_state()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                computed = work()
        except RuntimeError:
            # a capture that broke raises again where torch would go back to where it was
            torch.cuda.set_stream(current)
            generator.graphsafe_set_state(random_state)
            raise
        return computed, graph.replay


def recorder_on(parameters: Iterable[Tensor]) -> Recorder | None:
    """A recorder for the one CUDA device on which all ``parameters`` lie as float32, else None.

    None too where the environment asks for torch's own operations.
    """
    places = {(parameter.device, parameter.dtype) for parameter in parameters}
    if len(places) != 1 or switched_off():
        return None
    ((device, dtype),) = places
    return CudaGraphs(device) if device.type == "cuda" and dtype == torch.float32 else None


@dataclass
class _Graph:
    """A recorded kind of batch: what it reads, what it writes, and how it is done again."""

    input: Tensor
    target: Tensor
    computed: Computed
    again: Callable[[], None]

    def replay(self, input: Tensor, target: Tensor) -> Computed:
        self.input.copy_(input)
        self.target.copy_(target)
        self.again()
        self.computed.replays += 1
        return self.computed


@dataclass
class _Kind:
    """Batches of one shape by one variant of the network."""

    warm_ups: int = 0
    graph: _Graph | None = None


class GraphedLoss:
    """The loss of a batch, by a graph for every kind of batch that comes often enough.

    To whoever calls it, it is an ordinary loss: ``backward`` fills the gradients of the parameters,
    and those that take no part get none. The first batches of a kind are computed step by step, as
    a warm-up; they count like all others.
    """

    def __init__(self, compute: Compute, parameters: Mapping[str, Parameter], recorder: Recorder) -> None:
        """Prepare; nothing is computed yet.

        Args:
            compute: from parameters by name, input (B, L) and target to the scalar loss and the
                (S, terms) values that it consists of; reads nothing from the device.
            parameters: what learns, by name. An optimiser may change them in place between calls.
            recorder: of the device on which all lies.
        """
        self._compute, self._recorder = compute, recorder
        self._names, self._parameters = tuple(parameters), tuple(parameters.values())
        self._kinds: dict[Hashable, _Kind] = {}
        self._addresses: tuple[int, ...] = ()
        self._refused = False

    @property
    def num_graphs(self) -> int:
        """How many kinds of batches are recorded."""
        return sum(kind.graph is not None for kind in self._kinds.values())

    def __call__(
        self, input: Tensor, target: Tensor, *, variant: Hashable = 0
    ) -> tuple[Tensor, Tensor] | None:
        """The scalar loss and its (S, terms) values, which take no gradient.

        Args:
            input: (B, L).
            target: as ``compute`` takes it.
            variant: what else decides which operations are done; a graph holds for one.

        Returns:
            None where the caller has to compute it: no gradient is wanted, there are too many kinds
            of batches already, or one could not be recorded (a line has told why).
        """
        if self._refused or not torch.is_grad_enabled():
            return None
        self._forget_if_moved()
        key = (input.shape, target.shape, input.dtype, target.dtype, variant)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) == MAX_GRAPHS:
                return None
            kind = self._kinds[key] = _Kind()
        computed = self._computed(kind, input, target)
        if computed is None:
            return None
        loss, values = _Known.apply(computed, *self._parameters)
        return loss, values

    def _computed(self, kind: _Kind, input: Tensor, target: Tensor) -> Computed | None:
        if kind.warm_ups < WARM_UPS:
            kind.warm_ups += 1
            return self._recorder.warm_up(lambda: self._work(input, target))
        if kind.graph is None:
            kind.graph = self._recorded(input, target)
        return None if kind.graph is None else kind.graph.replay(input, target)

    def _recorded(self, input: Tensor, target: Tensor) -> _Graph | None:
        own_input, own_target = input.detach().clone(), target.detach().clone()
        try:
            computed, again = self._recorder.record(lambda: self._work(own_input, own_target))
        except RuntimeError as error:
            self._refused = True
            self._kinds.clear()
            told_once("the training step", f"no CUDA graph can be made of it ({_first_cause(error)})")
            return None
        return _Graph(own_input, own_target, computed, again)

    def _work(self, input: Tensor, target: Tensor) -> Computed:
        """One batch; the parameters are never part of what autograd keeps.

        Autograd adds gradients up on the stream on which it first saw a leaf. That of the parameters
        may be another one than the recording's; these leaves on the same memory are its own.
        """
        leaves = [parameter.detach().requires_grad_() for parameter in self._parameters]
        loss, values = self._compute(dict(zip(self._names, leaves, strict=True)), input, target)
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients if gradient is not None])
        takes_part = tuple(gradient is not None for gradient in gradients)
        return Computed(loss.detach(), values.detach(), flat, takes_part)

    def _forget_if_moved(self) -> None:
        """A graph reads the memory that the parameters had; loading in place keeps it, moving does not."""
        addresses = tuple(parameter.data_ptr() for parameter in self._parameters)
        if addresses != self._addresses:
            self._kinds.clear()
            self._addresses = addresses


class _Known(torch.autograd.Function):
    """A loss whose gradients are known already: what has been computed, and the parameters, in."""

    @staticmethod
    def forward(ctx: Any, computed: Computed, *parameters: Tensor) -> tuple[Tensor, Tensor]:
        ctx.computed, ctx.replays = computed, computed.replays
        ctx.shapes = [parameter.shape for parameter in parameters]
        loss, values = computed.loss.clone(), computed.values.clone()  # the next replay overwrites them
        ctx.mark_non_differentiable(values)
        ctx.set_materialize_grads(False)
        return loss, values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, ...]:
        computed: Computed = ctx.computed
        if computed.replays != ctx.replays:
            raise RuntimeError(
                "the gradients of this loss are gone: another batch of its kind has been computed since; "
                "call backward before that."
            )
        # one tensor for all: a launch for each would cost as much as the whole step
        scaled = computed.gradient * incoming[0]
        shapes = [shape for shape, taking in zip(ctx.shapes, computed.takes_part, strict=True) if taking]
        pieces = iter(scaled.split([shape.numel() for shape in shapes]))
        own = (
            next(pieces).view(shape) if taking else None
            for shape, taking in zip(ctx.shapes, computed.takes_part, strict=True)
        )
        return (None, *own)


def _first_cause(error: BaseException) -> str:
    """The first complaint: what follows it only tells that the capture is broken."""
    while error.__context__ is not None:
        error = error.__context__
    lines = str(error).splitlines()  # CUDA's errors go on about debugging
    return lines[0] if lines else type(error).__name__

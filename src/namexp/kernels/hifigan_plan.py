"""What the compiled HiFi-GAN generator is told: its operations, its signals, its weights in the order of use.

The arithmetic is in ``native/hifigan_*.hpp``.
Letters: I inputs, O outputs, K kernel, P products.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from namexp.architectures.hifigan import GeneratorSpec
from namexp.kernels.hifigan_filters import FILTERS, Vectors, filter_for

SLOPE = 0.1  # of every LeakyReLU but the last
LAST_SLOPE = 0.01  # torch's default, which the official code leaves as it is
CHUNK = 65536  # numbers of one signal that a stage takes at once: some of its signals stay in the L2 cache
LEAST_CHUNK = 512  # positions of a wide signal, whose weights are read again for every chunk
PIECE = 16384  # numbers that the products of a piece give
LEAST_ROWS = 48  # of a piece: fewer do not pay for reading the weights
SLACK = 64  # rows: vectors and tiles that end later than a signal
LINE = 16  # floats of a cache line

# --- the plain C interface ------------------------------------------------------------------------------

CONVOLUTION, UPSAMPLER, MEAN, LAST = range(4)


def _integers(*names: str) -> tuple[tuple[str, type], ...]:
    return tuple((name, ctypes.c_int64) for name in names)


class Operation(ctypes.Structure):
    """Field by field that of ``native/hifigan_operations.hpp``, where the fields are explained."""

    _fields_ = (
        *_integers("kind", "filter", "input", "residual", "output", "in_channels", "out_channels", "inputs"),
        *_integers("taps", "outputs", "dilation", "lead", "lag", "piece"),
        ("slope_in", ctypes.c_float),
        ("slope_out", ctypes.c_float),
        *((name, ctypes.c_void_p) for name in ("weights", "bias", "listed")),
    )


class Signal(ctypes.Structure):
    """``SignalPlan`` of ``native/hifigan_stream.hpp``."""

    _fields_ = _integers("channels", "capacity", "before", "after", "offset")


class Stage(ctypes.Structure):
    """``StagePlan`` of ``native/hifigan_stream.hpp``."""

    _fields_ = _integers("first", "count", "chunk")


class PlanHead(ctypes.Structure):
    """``Plan`` of ``native/hifigan_stream.hpp``."""

    _fields_ = (
        *_integers("num_signals", "num_operations", "num_stages", "memory", "workspace"),
        *((name, ctypes.c_void_p) for name in ("signals", "operations", "stages")),
    )


# --- the plan -------------------------------------------------------------------------------------------


class Plan:
    """The operations of a generator and what they need.

    Attributes:
        head: what the library gets; its pointers lead into this object.
        latency: positions of audio, at most, that wait for frames that have not come.
    """

    def __init__(self, spec: GeneratorSpec, weights: Mapping[str, Tensor], vectors: Vectors) -> None:
        self._vectors = vectors
        self._operations: list[Operation] = []
        self._signals: list[Signal] = []
        self._stages: list[Stage] = []
        self._rows: list[int] = []  # that a signal has at once
        self._reads: list[tuple[Operation, Sequence[int]]] = []  # signals, but for residuals
        self._kept: list[Tensor] = []  # what the operations point to
        self.latency = 0
        self._build(spec, weights)
        memory = self._place_signals()
        self._arrays = (
            (Signal * len(self._signals))(*self._signals),
            (Operation * len(self._operations))(*self._operations),
            (Stage * len(self._stages))(*self._stages),
        )
        self.head = PlanHead(
            *(len(array) for array in self._arrays),
            memory,
            max(self._workspace(of) for of in self._operations),
            *(ctypes.addressof(array) for array in self._arrays),
        )

    @property
    def num_signals(self) -> int:
        """The audio is the last."""
        return len(self._signals)

    def _build(self, spec: GeneratorSpec, weights: Mapping[str, Tensor]) -> None:
        for name, tensor in weights.items():
            assert tensor.dtype == torch.float32, f"{name} is {tensor.dtype}"
        signal = self._signal(spec.n_mels)
        last_stage = len(spec.upsample_rates) - 1
        for i, rate in enumerate(spec.upsample_rates):
            first = len(self._operations)
            if i == 0:
                signal = self._convolution(_of(weights, "conv_pre"), signal, slopes=(1.0, SLOPE))
                self.latency = self._operations[-1].lag
            upsampled = self._upsampler(_of(weights, f"ups.{i}"), signal, rate)
            self.latency = (self.latency + self._operations[-1].lag) * rate
            ends, reach = self._residual_blocks(spec, weights, i, upsampled)
            signal = self._mean(ends, LAST_SLOPE if i == last_stage else SLOPE)
            if i == last_stage:
                self._last(_of(weights, "conv_post"), signal)
                self.latency += self._operations[-1].lag
            chunk = max(1, max(LEAST_CHUNK, CHUNK // self._signals[upsampled].channels) // rate)
            self._stages.append(Stage(first, len(self._operations) - first, chunk))
            rows = chunk * rate + 2 * (reach + self._operations[first].lead + rate) + SLACK
            self._rows += [rows] * (len(self._signals) - len(self._rows))

    def _residual_blocks(
        self, spec: GeneratorSpec, weights: Mapping[str, Tensor], stage: int, upsampled: int
    ) -> tuple[list[int], int]:
        """Their outputs, and the most rows by which a signal may be ahead of one that comes from it."""
        ends, reach, wait = [], 0, 0
        num_blocks = len(spec.resblock_kernel_sizes)
        for j, dilations in enumerate(spec.resblock_dilation_sizes):
            begin = len(self._operations)
            name = f"resblocks.{stage * num_blocks + j}"
            ends.append(self._residual_block(weights, name, upsampled, dilations, spec.resblock))
            block = self._operations[begin:]
            reach = max(reach, sum(of.lead + of.lag + 2 * of.outputs * of.dilation for of in block))
            wait = max(wait, sum(of.lag + of.outputs * of.dilation - 1 for of in block))
        self.latency += wait
        return ends, reach

    # --- one operation

    def _signal(self, channels: int) -> int:
        self._signals.append(Signal(channels=self._vectors.row(channels)))
        return len(self._signals) - 1

    def _keep(self, tensor: Tensor) -> int:
        self._kept.append(tensor.contiguous())
        return self._kept[-1].data_ptr()

    def _padded(self, values: Tensor) -> Tensor:
        """With zeros up to whole rows."""
        return pad(values, (0, self._vectors.row(len(values)) - len(values)))

    def _packed(self, weights: Tensor) -> Tensor:
        """(P, taps, I, O) of any precision in the order of use."""
        outputs = weights.shape[-1]
        row = self._vectors.row(outputs)
        padded = pad(weights, (0, row - outputs)).float()
        parts = [padded[..., begin:end].reshape(len(weights), -1) for begin, end in self._vectors.blocks(row)]
        return torch.cat(parts, dim=1).contiguous()

    def _add(
        self, kind: int, packed: Tensor, bias: Tensor, listed: Sequence[int] = (), **fields: float
    ) -> int:
        """An operation and its output."""
        operation = Operation(
            kind=kind,
            weights=self._keep(packed),
            bias=self._keep(self._padded(bias)),
            listed=self._keep(torch.tensor(listed, dtype=torch.int64)),
            **{"residual": -1, "outputs": 1, "dilation": 1, "slope_in": 1.0, "slope_out": 1.0, **fields},
        )
        operation.in_channels = self._signals[operation.input].channels
        operation.output = self._signal(int(fields["out_channels"]))
        operation.out_channels = self._signals[operation.output].channels
        operation.piece = self._piece(operation)
        self._operations.append(operation)
        self._reads.append((operation, listed if kind == MEAN else (operation.input,)))
        return int(operation.output)

    def _convolution(
        self,
        layer: tuple[Tensor, Tensor],
        signal: int,
        *,
        dilation: int = 1,
        slopes: tuple[float, float],
        residual: int = -1,
        within_block: bool = False,
    ) -> int:
        weight, bias = layer
        channels, inputs, kernel = weight.shape
        found = filter_for(kernel, channels) if within_block else None
        by_tap = weight.permute(2, 1, 0).contiguous()
        if found is None:
            products, index, outputs, early = by_tap[None], 0, 1, 0
        else:
            products, index, outputs = found.transformed(by_tap), 1 + FILTERS.index(found), found.outputs
            early = products.shape[1] * found.taps - kernel
        padding = dilation * (kernel - 1) // 2
        return self._add(
            CONVOLUTION, self._packed(products), bias, filter=index, input=signal, residual=residual,
            out_channels=channels, inputs=inputs, taps=products.shape[1], outputs=outputs, dilation=dilation,
            lead=padding + early * dilation, lag=padding, slope_in=slopes[0], slope_out=slopes[1],
        )  # fmt: skip

    def _upsampler(self, layer: tuple[Tensor, Tensor], signal: int, rate: int) -> int:
        """Each phase of its outputs is a short convolution of its own."""
        weight, bias = layer  # (I, O, K)
        inputs, channels, kernel = weight.shape
        padding, taps = (kernel - rate) // 2, -(-kernel // rate)
        firsts, phases = [], []
        for phase in range(rate):
            first = (phase + padding) // rate - taps + 1  # input of the first tap
            used = [phase + padding - rate * (first + tap) for tap in range(taps)]
            firsts.append(first)
            zero = torch.zeros(inputs, channels)
            phases.append(torch.stack([weight[..., k] if k < kernel else zero for k in used]))
        lead = -min(firsts)
        return self._add(
            UPSAMPLER, self._packed(torch.stack(phases)), bias, [first + lead for first in firsts],
            input=signal, out_channels=channels, inputs=inputs, taps=taps, outputs=rate, lead=lead,
            lag=max(firsts) + taps - 1,
        )  # fmt: skip

    def _residual_block(
        self, weights: Mapping[str, Tensor], name: str, signal: int, dilations: Sequence[int], kind: str
    ) -> int:
        for n, dilation in enumerate(dilations):
            before, slopes, group = signal, (SLOPE, 1.0), "convs"
            if kind == "1":
                signal = self._convolution(
                    _of(weights, f"{name}.convs1.{n}"), signal, dilation=dilation, slopes=(SLOPE, SLOPE),
                    within_block=True,
                )  # fmt: skip
                slopes, group, dilation = (1.0, 1.0), "convs2", 1
            signal = self._convolution(
                _of(weights, f"{name}.{group}.{n}"), signal, dilation=dilation, slopes=slopes,
                residual=before, within_block=True,
            )  # fmt: skip
        return signal

    def _mean(self, signals: Sequence[int], slope: float) -> int:
        channels = self._signals[signals[0]].channels
        return self._add(
            MEAN, torch.empty(0), torch.empty(0), signals, input=signals[0], out_channels=channels,
            taps=len(signals), slope_out=slope,
        )  # fmt: skip

    def _last(self, layer: tuple[Tensor, Tensor], signal: int) -> None:
        weight, bias = layer  # (1, I, K)
        row, kernel = self._signals[signal].channels, weight.shape[-1]
        in_line = pad(weight[0].T, (0, row - weight.shape[1])).reshape(-1)  # by tap, by channel
        early = -len(in_line) % self._vectors.wide
        packed = pad(in_line, (early, 0))
        audio = self._add(
            LAST, packed, bias, input=signal, out_channels=1, inputs=len(packed), taps=kernel,
            lead=kernel // 2 + (early > 0), lag=kernel // 2,
        )  # fmt: skip
        self._signals[audio].channels = 0

    # --- memory

    def _piece(self, of: Operation) -> int:
        return int(max(LEAST_ROWS, PIECE // (_products(of) * of.out_channels)))

    def _workspace(self, of: Operation) -> int:
        """Floats of a thread: what the products give, and the rows that are prepared for them."""
        if of.kind not in (CONVOLUTION, UPSAMPLER):
            return 0
        prepared = (of.piece + (of.taps - 1) * of.dilation) * of.in_channels
        return int(_products(of) * (of.piece * of.out_channels + prepared))

    def _place_signals(self) -> int:
        """Room for each signal's rows; the floats of all."""
        for of, reads in self._reads:
            for signal in (self._signals[index] for index in reads):
                signal.before = max(signal.before, of.lead)
                signal.after = max(signal.after, of.lag + of.outputs * of.dilation)
        offset = 0
        for signal, rows in zip(self._signals, self._rows, strict=True):
            signal.capacity = rows + signal.before + signal.after
            signal.offset = offset
            offset += -(-signal.capacity * signal.channels // LINE) * LINE
        return offset


def _of(weights: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return weights[f"{name}.weight"].detach().cpu(), weights[f"{name}.bias"].detach().cpu()


def _products(of: Operation) -> int:
    if of.kind == UPSAMPLER:
        return int(of.outputs)
    return FILTERS[of.filter - 1].products if of.filter else 1

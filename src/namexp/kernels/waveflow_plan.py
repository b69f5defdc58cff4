"""What the compiled flow vocoder is told: its flows, their layers, their weights in the order of use.

The arithmetic is in ``native/waveflow*.hpp``.
Letters: r channels, C channels of a row in memory, M mels, L layers, I inputs, O outputs, P products.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Mapping
from itertools import chain

import torch
from torch import Tensor
from torch.nn.functional import pad

from namexp.architectures.waveflow import FlowSpec
from namexp.kernels.hifigan_filters import THREE

DIRECT_DILATION = (
    8  # from there on, the last columns of a picture are many enough to be computed by themselves
)
SCALE_GAIN = 3.0  # exp(3 * scale) of a projection, as in Glow

# --- the plain C interface: field by field the structures of native/waveflow_plan.hpp
# ------------------------


def _integers(*names: str) -> tuple[tuple[str, type], ...]:
    return tuple((name, ctypes.c_int64) for name in names)


def _pointers(*names: str) -> tuple[tuple[str, type], ...]:
    return tuple((name, ctypes.c_void_p) for name in names)


class Layer(ctypes.Structure):
    """``FlowLayer``."""

    _fields_ = _pointers("filtered", "direct", "conditioning", "mixing", "bias", "mixing_bias", "gains")


class Flow(ctypes.Structure):
    """``FlowPlan``."""

    _fields_ = _pointers("layers", "rows", "front_weight", "front_bias", "projection", "projection_bias")


class PlanHead(ctypes.Structure):
    """``VocoderPlan``."""

    _fields_ = (
        *_integers("num_flows", "num_layers", "height", "keep_first", "channels", "mels", "mel_row"),
        *_pointers("heights", "widths"),
        ("kept", ctypes.c_float),
        *_pointers("flows", "first_upsampling", "second_upsampling"),
    )


class Call(ctypes.Structure):
    """``VocoderCall``."""

    _fields_ = (
        *_pointers("picture", "mel"),
        *_integers("mel_stride", "frames", "columns", "chunk", "cached", "threads"),
        *_pointers("memory"),
    )


# --- the plan -------------------------------------------------------------------------------------------


class FlowVocoderPlan:
    """All flows of a vocoder.

    Attributes:
        head: what the library gets; its pointers lead into this object.
        noise_rows: where each row of the noise stands in the picture of the audio.
        mel_row: numbers of a frame in memory, without what surrounds them.
    """

    def __init__(self, spec: FlowSpec, weights: Mapping[str, Tensor], lanes: int, block: int) -> None:
        """With vectors of so many lanes, so many of them in a block of outputs."""
        self._spec, self._lanes, self._block = spec, lanes, block * lanes
        self._weights = {name: weight.detach().cpu() for name, weight in weights.items()}
        for name, weight in self._weights.items():
            assert weight.dtype == torch.float32, f"{name} is {weight.dtype}"
        self._row = -(-spec.res_channels // lanes) * lanes
        self.mel_row = -(-spec.n_mels // lanes) * lanes
        self._kept: list[Tensor | ctypes.Array[Layer] | ctypes.Array[Flow]] = []
        self.noise_rows = _noise_rows(spec)
        self.head = self._head()
        self._weights = {}

    def _head(self) -> PlanHead:
        spec = self._spec
        shared = [self._packed_layer("", n) for n in range(spec.n_layer)] if spec.shared else None
        flows = (Flow * spec.n_flow)(*(self._flow(i, shared) for i in range(spec.n_flow)))
        self._kept.append(flows)
        scaled = spec.coupling == "all_rows" and spec.kind != "nanoflow"
        return PlanHead(
            num_flows=spec.n_flow, num_layers=spec.n_layer, height=spec.n_height,
            keep_first=spec.coupling == "keep_first", channels=self._row, mels=spec.n_mels,
            mel_row=self.mel_row, heights=self._numbers(spec.height_dilations),
            widths=self._numbers(spec.width_dilations), kept=math.sqrt(0.5) if scaled else 1.0,
            flows=ctypes.addressof(flows), first_upsampling=self._upsampling(0),
            second_upsampling=self._upsampling(2),
        )  # fmt: skip

    # --- one flow

    def _flow(self, i: int, shared: list[Layer] | None) -> Flow:
        spec, net = self._spec, self._net(i)
        packed = shared or [self._packed_layer(net, n) for n in range(spec.n_layer)]
        layers = (Layer * spec.n_layer)(*(self._told(layer, i, n) for n, layer in enumerate(packed)))
        self._kept.append(layers)
        front, bias = self._of(f"{net}.front_conv.0.conv")
        projection, shift = self._projection(i)
        return Flow(
            layers=ctypes.addressof(layers),
            rows=self._numbers(spec.conditioner_orders[i]),
            front_weight=self._keep(self._channels(front.flatten())),
            front_bias=self._keep(self._channels(bias)),
            projection=self._keep(self._channels(projection)),
            projection_bias=self._keep(shift),
        )

    def _net(self, i: int) -> str:
        kind = self._spec.kind
        return {"waveflow": f"flows.{i}.coupling.net", "naive": "flow.coupling.net"}.get(
            kind, "estimator.net"
        )

    def _projection(self, i: int) -> tuple[Tensor, Tensor]:
        """(2, r) and (2,), scaled."""
        kind = self._spec.kind
        name = {"waveflow": f"flows.{i}.coupling.", "naive": "flow.coupling."}.get(kind, f"flows.{i}.")
        weight, bias = self._of(f"{name}proj_log_s_t.conv")
        scale = self._weights.get(f"{name}proj_log_s_t.scale", torch.zeros(1)).flatten()
        gain = (SCALE_GAIN * scale.double()).exp()
        return (weight.flatten(1) * gain[:, None]).float(), (bias * gain).float()

    def _packed_layer(self, net: str, n: int) -> Layer:
        """What all flows of an estimator share."""
        spec, r, name = self._spec, self._spec.res_channels, f"{net or self._net(0)}.res_blocks.{n}"
        gate, _ = self._of(f"{name}.filter_gate_conv.conv")
        inputs = self._channels(gate.permute(2, 3, 0, 1)).transpose(2, 3)  # (height, width, C, 2r)
        taps = self._halves(inputs)
        filtered = torch.stack(
            [THREE.transformed(above)[:, 0] for above in taps], dim=1
        )  # (P, height, C, 2C)
        direct = spec.width_dilations[n] >= DIRECT_DILATION
        conditioner, _ = self._of(f"{name}.filter_gate_conv_c")
        mixing, mixing_bias = self._of(f"{name}.res_skip_conv")
        used = slice(r if n == spec.n_layer - 1 else 0, None)
        out = self._channels(mixing[used].flatten(1)).T  # (C, r or 2r)
        return Layer(
            filtered=self._pack(filtered),
            direct=self._pack(taps.transpose(0, 1)) if direct else None,
            conditioning=self._pack(self._halves(conditioner.flatten(1).T)),
            mixing=self._pack(self._halves(out)),
            mixing_bias=self._keep(self._halves(mixing_bias[used])),
        )

    def _told(self, shared: Layer, i: int, n: int) -> Layer:
        """A layer with what is one flow's own."""
        spec, name = self._spec, f"{self._net(i)}.res_blocks.{n}"
        bias = self._of(f"{name}.filter_gate_conv.conv")[1] + self._of(f"{name}.filter_gate_conv_c")[1]
        gains = torch.full((spec.res_channels,), 1.0)
        if spec.kind == "nanoflow":
            bias = bias + self._weights["h_cache"][spec.n_flow - 1 - i, n].flatten()  # from the last flow on
            gains = self._weights[f"flows.{i}.multgate"][n]
        elif spec.coupling == "all_rows":
            gains = gains * math.sqrt(0.5)
        layer = Layer.from_buffer_copy(shared)
        layer.bias, layer.gains = self._keep(self._halves(bias)), self._keep(self._channels(gains))
        return layer

    def _upsampling(self, index: int) -> int:
        weight, bias = self._of(f"upsample_conv.{index}")
        return self._keep(torch.cat([weight.flatten(), bias]))

    # --- memory

    def _of(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]

    def _keep(self, tensor: Tensor) -> int:
        tensor = tensor.contiguous()
        self._kept.append(tensor)
        return tensor.data_ptr()

    def _numbers(self, values: Iterable[int]) -> int:
        return self._keep(torch.tensor(list(values), dtype=torch.int64))

    def _channels(self, values: Tensor) -> Tensor:
        """(..., r) with zeros up to C."""
        return pad(values, (0, self._row - values.shape[-1]))

    def _halves(self, values: Tensor) -> Tensor:
        """(..., r or 2r), each r with zeros up to C."""
        return torch.cat(
            [self._channels(half) for half in values.split(self._spec.res_channels, dim=-1)], dim=-1
        )

    def _pack(self, weights: Tensor) -> int:
        """(..., I, O) in blocks of outputs, each [input][output]."""
        outputs = weights.shape[-1]
        whole = outputs // self._block * self._block
        blocks = chain(
            weights[..., :whole].split(self._block, -1), weights[..., whole:].split(self._lanes, -1)
        )
        return self._keep(torch.cat([block.float().flatten(-2) for block in blocks if block.numel()], dim=-1))


def _noise_rows(spec: FlowSpec) -> tuple[int, ...]:
    last = spec.conditioner_orders[-1]
    if spec.coupling == "all_rows":
        return last
    return tuple(last[row] for row in spec.permutation_of(spec.n_flow - 1))

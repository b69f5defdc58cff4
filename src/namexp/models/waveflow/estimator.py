"""The estimator: a WaveNet in two dimensions, causal in height, and the projection of what it finds.

Source: Ping et al. 2020, arXiv:1912.01219, section 3; Lee et al. 2020, arXiv:2006.06280, section 3.2.
Letters: B batch, h rows, W columns, M mels, L layers, r channels, E size of an embedding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namexp.architectures.waveflow import KERNEL, FlowSpec
from namexp.models.hifigan.convolutions import Norm, Weights
from namexp.models.waveflow.convolutions import Conv2d

PROJECTION_RANGE = 1e-3  # of its first weights
SCALE_GAIN = 3.0  # exp(3 * scale), as in Glow

Conditioning = Callable[[int], Tensor]


class LayerWeights(NamedTuple):
    """What a layer computes with, norms applied.

    Attributes:
        gate: (2r, r, 3, 3): what is passed on, and how much of it.
        condition: (2r, M, 1, 1).
        out: (2r, r, 1, 1): to the next layer, and to the sum of all.
    """

    gate: Weights
    condition: Weights
    out: Weights


class EstimatorWeights(NamedTuple):
    """What an estimator computes with.

    Attributes:
        front: (r, 1, 1, 1).
        layers: L.
    """

    front: Weights
    layers: tuple[LayerWeights, ...]


class Telling(NamedTuple):
    """What one flow of a NanoFlow adds to the estimator of all.

    Attributes:
        terms: (L, 2r) before the gates: the embedding, convolved.
        gates: (L, r) of the residuals.
    """

    terms: Tensor
    gates: Tensor


class _Framed(nn.Module):
    """A convolution under the name that its official frame gives it."""

    def __init__(self, conv: Conv2d) -> None:
        super().__init__()
        self.conv = conv


class _Layer(nn.Module):
    def __init__(self, spec: FlowSpec, n: int, norm: Norm, embedded: bool) -> None:
        super().__init__()
        r = spec.res_channels
        dilation = spec.height_dilations[n], spec.width_dilations[n]
        self.filter_gate_conv = _Framed(_drawn(Conv2d(r, 2 * r, KERNEL, dilation=dilation, norm=norm)))
        self.filter_gate_conv_c = _drawn(Conv2d(spec.n_mels, 2 * r, 1, norm=norm))
        if embedded:
            assert spec.size_flow_embed is not None
            self.filter_gate_conv_h = _drawn(Conv2d(spec.size_flow_embed, 2 * r, 1, norm=norm))
        self.res_skip_conv = _drawn(Conv2d(r, 2 * r, 1, norm=norm))

    def effective(self) -> LayerWeights:
        return LayerWeights(
            self.filter_gate_conv.conv.effective(),
            self.filter_gate_conv_c.effective(),
            self.res_skip_conv.effective(),
        )


class Estimator(nn.Module):
    """Features of every position from the rows above it, and from the conditioner beside it."""

    def __init__(self, spec: FlowSpec, *, norm: Norm, embedded: bool) -> None:
        """With convolutions of the flows' embedding, or without."""
        super().__init__()
        self.spec = spec
        front = _drawn(Conv2d(1, spec.res_channels, 1, norm=norm))
        self.front_conv = nn.Sequential(_Framed(front))
        self.res_blocks = nn.ModuleList(_Layer(spec, n, norm, embedded) for n in range(spec.n_layer))

    def effective(self) -> EstimatorWeights:
        """Its weights, norms applied: taken once for all flows that share it."""
        return EstimatorWeights(self._front.effective(), tuple(layer.effective() for layer in self._layers))

    @property
    def _front(self) -> Conv2d:
        framed = self.front_conv[0]
        assert isinstance(framed, _Framed)
        return framed.conv

    @property
    def _layers(self) -> list[_Layer]:
        return [layer for layer in self.res_blocks if isinstance(layer, _Layer)]

    def terms(self, embeddings: Tensor) -> Tensor:
        """(N, E) embeddings to (N, L, 2r)."""
        convolved = [layer.filter_gate_conv_h(embeddings[:, :, None, None]) for layer in self._layers]
        return torch.stack(convolved, dim=1)[..., 0, 0]

    def forward(
        self, x: Tensor, conditioning: Conditioning, weights: EstimatorWeights, telling: Telling | None
    ) -> Tensor:
        """Features, causal in height: row i of what comes out depends on rows 0 to i of ``x``.

        Args:
            x: (B, 1, h, W), the rows above those that are told of.
            conditioning: gives (B, 2r, h, W) for a layer.
            weights: of ``effective``.
            telling: which flow this is, to a NanoFlow.

        Returns:
            (B, r, h, W).
        """
        h = self._front.convolve(x, *weights.front)
        features: Tensor | None = None
        for n, layer in enumerate(weights.layers):
            gated = self._gated(n, h, conditioning(n), layer, None if telling is None else telling.terms[n])
            if n == self.spec.n_layer - 1:  # nothing uses the other half of the last one
                skip = F.conv2d(gated, *_half(layer.out, self.spec.res_channels))
            else:
                residual, skip = F.conv2d(gated, *layer.out).chunk(2, dim=1)
                h = self._passed_on(h, residual, None if telling is None else telling.gates[n])
            features = skip if features is None else features + skip
        assert features is not None
        return features

    def _gated(
        self, n: int, h: Tensor, condition: Tensor, weights: LayerWeights, term: Tensor | None
    ) -> Tensor:
        conv = self._layers[n].filter_gate_conv.conv
        above = (KERNEL - 1) * self.spec.height_dilations[n]
        a = conv.convolve(F.pad(h, (0, 0, above, 0)), *weights.gate).add_(condition)
        if term is not None:
            a = a.add_(term[:, None, None])
        filtered, gate = a.chunk(2, dim=1)
        return filtered.tanh() * gate.sigmoid()

    def _passed_on(self, h: Tensor, residual: Tensor, gate: Tensor | None) -> Tensor:
        if gate is not None:
            return h + residual * gate[:, None, None]
        return (h + residual) * residual_scale(self.spec)


class Projection(nn.Module):
    """Features to log s and t, in float32 at least."""

    def __init__(self, spec: FlowSpec) -> None:
        super().__init__()
        self.conv = Conv2d(spec.res_channels, 2, 1, norm="none")
        bias = self.conv.bias
        del self.conv.bias
        self.conv.bias = bias  # after the weight: the official one is torch's own
        self.scaled = spec.coupling == "all_rows"
        with torch.no_grad():
            for parameter in (self.conv.weight, self.conv.bias):
                if self.scaled:
                    parameter.uniform_(-PROJECTION_RANGE, PROJECTION_RANGE)
                else:
                    parameter.zero_()
        if self.scaled:
            self.scale = nn.Parameter(torch.zeros(1, 2, 1, 1))

    def effective(self) -> Weights:
        """(2, r, 1, 1) with its scale."""
        weight, bias = (full(value) for value in (self.conv.weight, self.conv.bias))
        if not self.scaled:
            return Weights(weight, bias)
        scale = (SCALE_GAIN * full(self.scale)).exp()
        return Weights(weight * scale.view(2, 1, 1, 1), bias * scale.view(2))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(B, r, h, W) to log s and t, (B, 1, h, W) each."""
        with torch.autocast(features.device.type, enabled=False):
            log_s, t = F.conv2d(full(features), *self.effective()).chunk(2, dim=1)
        return log_s, t


def residual_scale(spec: FlowSpec) -> float:
    """What a layer's input and residual are multiplied by before the next; a NanoFlow has gates instead."""
    return math.sqrt(0.5) if spec.coupling == "all_rows" and spec.kind != "nanoflow" else 1.0


def full(x: Tensor) -> Tensor:
    """16-bit floats as float32; float64 stays."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _half(out: Weights, r: int) -> Weights:
    return Weights(out.weight[r:], out.bias[r:])


def _drawn(convolution: Conv2d) -> Conv2d:
    """As it is, after as many random numbers as the official initialisation draws and does not use."""
    convolution.draw_normal(keep=False)
    return convolution

"""The weights of a flow as synthesis uses them: whatever is linear in a row is multiplied out before.

Four identities, computed in float64: the first layer's convolution of the front's features is one of the row
itself and of a row of ones; residuals that are scaled by a constant are sums, if the next convolution is
scaled instead; the projection of a sum is a sum of projections, so that a layer's skip half is 2 x r; and
tanh(a) = 2 (sigmoid(2a) - 1/2), whose factors fit into the weights before and after it.
Letters: L layers, r channels, M mels, K inputs of a layer: 2 of the first, r of the others.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from namexp.architectures.waveflow import KERNEL, FlowSpec
from namexp.models.waveflow.estimator import LayerWeights, Telling, residual_scale
from namexp.models.waveflow.model import Part


class FoldedLayer(NamedTuple):
    """A layer, row by row.

    Attributes:
        gate: (3, 3) matrices (2r, K): of the rows from the highest to this one, and of the columns.
        condition: (2r, M + 1); the last column is the bias, for a row of ones.
        passed_on: (r, r), added to the layer's input.
        passed_bias: (r, 1).
        projected: (2, r), added to log s and t.
    """

    gate: tuple[tuple[Tensor, ...], ...]
    condition: Tensor
    passed_on: Tensor
    passed_bias: Tensor
    projected: Tensor


class FoldedFlow(NamedTuple):
    """A flow, row by row.

    Attributes:
        layers: L.
        front: (r, 2): features of a row and of ones.
        log_s_t: (2, 1), where their sum begins.
    """

    layers: tuple[FoldedLayer, ...]
    front: Tensor
    log_s_t: Tensor


@torch.no_grad()
def folded(spec: FlowSpec, part: Part) -> FoldedFlow:
    """Of one flow, in its own precision."""
    dtype = part.weights.front.weight.dtype
    front = torch.cat(
        [part.weights.front.weight[:, :, 0, 0], part.weights.front.bias[:, None]], dim=1
    ).double()
    projection, start = (value.double() for value in part.projection.effective())
    projection = projection[:, :, 0, 0]
    layers, r, scale = [], spec.res_channels, 1.0
    for n, weights in enumerate(part.weights.layers):
        start = start + projection @ weights.out.bias[r:].double()
        layers.append(_layer(spec, n, weights, part.telling, front, projection, scale, dtype))
        scale *= residual_scale(spec)
    return FoldedFlow(tuple(layers), front.to(dtype), start[:, None].to(dtype))


def _layer(
    spec: FlowSpec, n: int, weights: LayerWeights, telling: Telling | None, front: Tensor,
    projection: Tensor, scale: float, dtype: torch.dtype,
) -> FoldedLayer:  # fmt: skip
    """``scale``: by how much the layer's input is too large."""
    r = spec.res_channels
    kernel = weights.gate.weight.double() * scale
    bias = weights.gate.bias.double() + weights.condition.bias.double()
    out, out_bias = 2 * weights.out.weight[:, :, 0, 0].double(), weights.out.bias.double()
    passed, passed_bias = out[:r] / scale, out_bias[:r] / scale
    if telling is not None:
        bias = bias + telling.terms[n].double()
        gate = telling.gates[n].double()
        passed, passed_bias = passed * gate[:, None], passed_bias * gate
    taps = [[kernel[:, :, i, j] @ front if n == 0 else kernel[:, :, i, j] for j in range(KERNEL)]
            for i in range(KERNEL)]  # fmt: skip
    doubled = torch.ones_like(bias)
    doubled[:r] = 2.0
    condition = torch.cat([weights.condition.weight[:, :, 0, 0].double(), bias[:, None]], dim=1)
    return FoldedLayer(
        gate=tuple(tuple((tap * doubled[:, None]).to(dtype).contiguous() for tap in row) for row in taps),
        condition=(condition * doubled[:, None]).to(dtype),
        passed_on=passed.to(dtype),
        passed_bias=passed_bias[:, None].to(dtype),
        projected=(projection @ out[r:]).to(dtype),
    )

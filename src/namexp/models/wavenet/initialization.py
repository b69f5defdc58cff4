"""First weights with which signals keep their size on the way through a WaveNet.

torch's default start makes the output of a small network a hundred times too quiet, and it then learns to be
silent first. Here convolutions keep the variance (He et al. 2015, arXiv:1502.01852, with the gain of whatever
activation there is), and each of L layers adds 1 / L of it to the residual (as Zhang et al. 2019,
arXiv:1901.09321, scale branches down by depth).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from namexp.models.wavenet.layer import Layer
from namexp.models.wavenet.layer_array import LayerArray
from namexp.models.wavenet.wavenet import WaveNet

MIXIN = 0.5  # of the condition, which is the signal that the residual already carries
QUANTILES = 4096  # of the normal distribution, by which an activation's gain is measured


@torch.no_grad()
def keep_variance(wavenet: WaveNet) -> None:
    """Draw the weights anew from torch's random state; biases become zero, learned slopes stay as they are.

    The head keeps torch's default: ``head_scale`` is the architecture's word about the output's level.

    Args:
        wavenet: any, also with gates, bottlenecks, groups and several arrays. Those behind a condition too.
    """
    if isinstance(wavenet.condition_dsp, WaveNet):
        keep_variance(wavenet.condition_dsp)
    for array in wavenet.arrays():
        _array(array)


def _array(array: LayerArray) -> None:
    _normal(array.rechannel, 1.0)
    layers = [layer for layer in array.layers if isinstance(layer, Layer)]
    branch = 1.0 / math.sqrt(len(layers))
    for layer in layers:
        gain = 1.0 / activation_rms(layer)
        _normal(layer.conv, gain)
        _normal(layer.input_mixer, MIXIN)
        if layer.layer1x1 is not None:
            _orthogonal(layer.layer1x1, branch)
        if layer.head1x1 is not None:
            _orthogonal(layer.head1x1, 1.0)
    if array.head_rechannel.bias is not None:
        array.head_rechannel.bias.zero_()


def activation_rms(layer: Layer) -> float:
    """The root mean square of what a layer's activation, with its gate, makes of standard normal numbers."""
    z = torch.special.ndtri((torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES).float()
    if layer.secondary_activation is None:
        return _rms(layer.activate(_channels(layer, z)))
    mixed = z[torch.randperm(QUANTILES, generator=torch.Generator().manual_seed(0))]
    return _rms(layer.activate(torch.cat([_channels(layer, z), _channels(layer, mixed)], dim=1)))


def _channels(layer: Layer, z: Tensor) -> Tensor:
    """(1, B, L): the same in every channel that the activation sees."""
    gated = layer.secondary_activation is not None
    return z.expand(1, layer.conv.out_channels // (2 if gated else 1), -1)


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


def _normal(conv: nn.Conv1d, gain: float) -> None:
    fan_in = conv.weight[0].numel()
    conv.weight.normal_(0.0, gain / math.sqrt(fan_in))
    if conv.bias is not None:
        conv.bias.zero_()


def _orthogonal(conv: nn.Conv1d, gain: float) -> None:
    """Rows or columns of each group are orthogonal, of length ``gain``."""
    for block in conv.weight.chunk(conv.groups):
        nn.init.orthogonal_(block, gain)
    if conv.bias is not None:
        conv.bias.zero_()

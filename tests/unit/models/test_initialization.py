"""First weights that keep the size of signals, whatever the activation; what they are measured against."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch

from namexp.architectures.parsing import parse_wavenet
from namexp.models.wavenet import WaveNet, keep_variance
from namexp.models.wavenet.initialization import activation_rms
from namexp.models.wavenet.layer import Layer
from namexp.tasks.capture.config.whole import parse_model
from namexp.tasks.capture.networks import build_network

DEEP = [1, 2, 4, 8, 16, 32, 64, 128] * 3


def _wavenet(activation: Any, *, channels: int = 48, dilations: list[int] = DEEP, **more: Any) -> WaveNet:
    array = {
        "kernel_sizes": 3, "dilations": dilations, "activation": activation,
        "head": {"kernel_size": 1, "bias": True}, **more,
    }  # fmt: skip
    return WaveNet(parse_wavenet({"layer_arrays": [array], "head_scale": 0.02}, "model", channels=[channels]))


def _layers(wavenet: WaveNet) -> list[Layer]:
    return [layer for array in wavenet.arrays() for layer in array.layers if isinstance(layer, Layer)]


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ({"type": "LeakyReLU", "negative_slope": 0.01}, math.sqrt(0.5 * (1 + 1e-4))),
        ("ReLU", math.sqrt(0.5)),
        ("Tanh", 0.627929),  # the root of E tanh(z)^2, by integration
        ("Sigmoid", 0.541640),  # of E sigmoid(z)^2
    ],
)
def test_the_gain_is_that_of_standard_normal_numbers(activation: Any, expected: float) -> None:
    layer = _layers(_wavenet(activation, dilations=[1]))[0]
    assert activation_rms(layer) == pytest.approx(expected, rel=1e-3)


def test_a_gate_counts() -> None:
    layer = _layers(_wavenet("Tanh", dilations=[1], gating_mode="gated", secondary_activation="Sigmoid"))[0]
    assert activation_rms(layer) == pytest.approx(0.627929 * 0.541640, rel=0.05), "the two are independent"


def _sizes(wavenet: WaveNet, x: torch.Tensor) -> list[float]:
    """Root mean squares: of the residual before the first layer and after each, of the head's part."""
    (array,) = wavenet.arrays()
    out: Any = array.rechannel(x)
    sizes = [float(out.square().mean().sqrt())]
    for layer in _layers(wavenet):
        out, heard = layer(out, torch.zeros(1, 1, out.shape[-1]), head_length=2048)
        sizes.append(float(out.square().mean().sqrt()))
    return [*sizes, float(heard.square().mean().sqrt())]


@torch.no_grad()
@pytest.mark.parametrize("activation", ["ReLU", {"type": "LeakyReLU", "negative_slope": 0.01}, "Tanh"])
def test_signals_keep_their_size_through_24_layers(activation: Any) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 1, 4096)
    wavenet = _wavenet(activation)
    *_, torchs = _sizes(wavenet, x)
    keep_variance(wavenet)
    *after, heard = _sizes(wavenet, x)
    assert 0.7 < after[0] < 1.3
    assert 0.9 * after[0] < after[-1] < 2.5 * after[0], "each layer adds 1 / L of the variance"
    assert all(b < 1.2 * a for a, b in pairwise(after)), "none of them blows up"
    assert 0.5 * after[-1] < heard < 1.1 * after[-1]
    assert torchs < 0.8 * heard, "torch's start is the quieter one"


def test_what_is_orthogonal_and_what_is_zero_and_that_the_head_is_torchs() -> None:
    torch.manual_seed(3)
    wavenet = _wavenet("Tanh", channels=6, dilations=[1, 2, 4, 8])
    head = wavenet.arrays()[0].head_rechannel.weight.clone()
    keep_variance(wavenet)
    for layer in _layers(wavenet):
        assert layer.layer1x1 is not None
        W = layer.layer1x1.weight[..., 0]
        torch.testing.assert_close(W @ W.T, torch.eye(6) / 4)
    for name, parameter in wavenet.named_parameters():
        assert name.endswith(".weight") or not parameter.any(), name
    assert torch.equal(wavenet.arrays()[0].head_rechannel.weight, head)


PACK = {
    "kind": "packed_wavenet", "channels": [2, 4], "submodels": None, "head_scale": 0.02,
    "layer_arrays": [
        {
            "kernel_sizes": 3, "dilations": [1, 2], "activation": "Tanh",
            "head": {"kernel_size": 1, "bias": True},
        }
    ],
}  # fmt: skip
SLIMMABLE = {
    **{key: value for key, value in PACK.items() if key != "submodels"}, "kind": "slimmable",
    "boosting": True, "init_strategy": "smallest_and_zeros", "size_sampling": "uniform",
}  # fmt: skip


@pytest.mark.parametrize("model", [PACK, SLIMMABLE])
def test_the_seed_decides_and_the_word_in_the_config(model: dict[str, Any]) -> None:
    def weights(seed: int, **more: Any) -> list[torch.Tensor]:
        return [p.detach() for p in build_network(parse_model({**model, **more}), seed=seed).parameters()]

    one, again, other = (weights(seed, weight_init="variance") for seed in (1, 1, 2))
    assert all(map(torch.equal, one, again))
    assert not all(map(torch.equal, one, other))
    torchs = weights(1)
    assert all(map(torch.equal, torchs, weights(1, weight_init="torch")))
    assert not all(map(torch.equal, one, torchs))


def test_of_a_slimmable_one_the_smallest_width_begins_so_and_the_rest_is_zero() -> None:
    network = build_network(parse_model({**SLIMMABLE, "weight_init": "variance"}), seed=0)
    (layer, _) = _layers(network.alone(0))
    assert layer.layer1x1 is not None
    W = layer.layer1x1.weight[..., 0]
    torch.testing.assert_close(W @ W.T, torch.eye(2) / 2)
    (wide, _) = _layers(network.alone(1))
    assert not wide.conv.weight[2:].any()

"""Every activation of the C++ runtime, by value."""

from __future__ import annotations

import math

import pytest
import torch

from namexp.architectures.activation import FIXED_PARAMETERS, ActivationSpec, parse_activation
from namexp.models.wavenet.activations import PReLU, build_activation, current_spec

POINTS = [-4.0, -1.5, -0.6, -0.1, 0.0, 0.3, 0.9, 2.5]


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


BY_HAND = {
    "Tanh": math.tanh,
    "Hardtanh": lambda x: max(-1.0, min(1.0, x)),
    "ReLU": lambda x: max(0.0, x),
    "LeakyReLU": lambda x: x if x > 0 else 0.01 * x,
    "PReLU": lambda x: x if x > 0 else 0.25 * x,
    "Sigmoid": _sigmoid,
    "SiLU": lambda x: x * _sigmoid(x),
    "Hardswish": lambda x: x * max(0.0, min(6.0, x + 3.0)) / 6.0,
    "LeakyHardtanh": lambda x: -1 + 0.01 * (x + 1) if x < -1 else 1 + 0.01 * (x - 1) if x > 1 else x,
    "Softsign": lambda x: x / (1.0 + abs(x)),
}


def _spec(value: object) -> ActivationSpec:
    return parse_activation(value, "activation", channels=2, default_slope=0.25, strict=True)


def test_every_type_is_tested_here() -> None:
    assert set(BY_HAND) | {"Fasttanh"} == set(FIXED_PARAMETERS)


@pytest.mark.parametrize("type_", BY_HAND)
def test_values(type_: str) -> None:
    module = build_activation(_spec(type_)).double()
    x = torch.tensor(POINTS, dtype=torch.float64)
    expected = torch.tensor([BY_HAND[type_](p) for p in POINTS], dtype=torch.float64)
    torch.testing.assert_close(module(x[None, None].repeat(1, 2, 1))[0, 1], expected, rtol=1e-12, atol=0)


def test_fasttanh_is_near_tanh_and_odd() -> None:
    module = build_activation(_spec("Fasttanh")).double()
    x = torch.linspace(-5, 5, 1001, dtype=torch.float64)
    error = (module(x) - torch.tanh(x)).abs().max()
    assert 1e-5 < error < 3e-3, "an approximation, not tanh itself"
    torch.testing.assert_close(module(-x), -module(x), rtol=1e-12, atol=1e-15)


def test_parameters_count() -> None:
    module = build_activation(_spec({"type": "LeakyHardtanh", "max_val": 0.5, "max_slope": 0.2}))
    torch.testing.assert_close(module(torch.tensor([1.5])), torch.tensor([0.5 + 0.2]))


def test_prelu_has_a_slope_for_each_channel_and_remembers_what_it_learned() -> None:
    spec = _spec({"type": "PReLU", "per_channel": True})
    module = build_activation(spec)
    assert isinstance(module, PReLU)
    with torch.no_grad():
        module.slopes.copy_(torch.tensor([0.5, -0.25]))
    y = module(torch.full((1, 2, 1), -2.0))
    torch.testing.assert_close(y[0, :, 0], torch.tensor([-1.0, 0.5]))
    assert current_spec(spec, module).slopes == (0.5, -0.25)

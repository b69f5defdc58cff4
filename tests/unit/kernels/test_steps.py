"""Training with kernels is training with torch's own operations.

A trajectory amplifies rounding: at the A2 recipe's learning rate about tenfold a step at first, so that two
runs of torch with one and two threads are as far apart as one with and one without kernels. Losses are
therefore compared at a learning rate at which trajectories stay together, and at the recipe's own with
both at the same weights in every step.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from namexp.architectures.packing import Submodel
from namexp.models.network import Network
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.loss import CaptureLoss
from tests.architectures import SLIMMABLE, layers, wavenet
from tests.compilers import needs_compiler

A2_LOSS = LossConfig(1.0, 0.0, 0.0, 0.0005, 0.0, 0.85, 0.0, 0.85, "esr")
STEPS = 50

pytestmark = needs_compiler


def _wide(channels: int) -> dict[str, object]:
    return layers(channels=channels, kernel_sizes=6, dilations=[1, 5, 29], activation="LeakyReLU")


def _pack() -> Network:
    return PackedWaveNet([Submodel(f"{c}", wavenet(_wide(c), head_scale=0.1)) for c in (3, 8)])


def _a1() -> Network:
    head = {"out_channels": 4, "kernel_size": 1, "bias": False}
    return WaveNet(wavenet(layers(channels=8, head=head), layers(), head_scale=0.2))


def _slimmable() -> Network:
    return SlimmableWaveNet(SLIMMABLE, boosting=True, seed=0).train()


KINDS = {"pack": _pack, "two arrays": _a1, "slimmable": _slimmable}
LEARNING_RATE = {"pack": 1e-3, "two arrays": 5e-4, "slimmable": 1e-3}


def _batches(field: int) -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(5)
    for _ in range(STEPS):
        x = 0.3 * torch.randn(4, 2048 + field - 1, generator=generator)
        yield x, torch.tanh(2.0 * x[:, field - 1 :] + 0.5 * x[:, field - 2 : -1])


def _losses(kind: str) -> list[float]:
    torch.manual_seed(1)
    network, loss = KINDS[kind](), CaptureLoss(A2_LOSS)
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE[kind])
    assert network.receptive_field is not None
    losses = []
    for step, (x, y) in enumerate(_batches(network.receptive_field)):
        network.begin_step(step)
        optimizer.zero_grad()
        value = loss(network(x), y)
        value.backward()
        with network.parameter_update():
            optimizer.step()
        losses.append(value.item())
    return losses


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_fifty_steps_have_the_same_losses(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = _losses(kind)
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    plain = _losses(kind)
    assert fast != plain, "not the same operations"
    assert fast == pytest.approx(plain, rel=1e-4)
    assert min(plain[-5:]) < 0.9 * plain[0], "it learns"


def test_every_step_of_the_recipe_has_the_same_loss_and_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    network, loss = _pack(), CaptureLoss(A2_LOSS)
    optimizer = torch.optim.Adam(network.parameters(), lr=4e-3)
    assert network.receptive_field is not None
    for x, y in _batches(network.receptive_field):
        found = []
        for switch in ("off", "on"):  # the step is made with the second
            monkeypatch.setenv("NAMEXP_KERNELS", switch)
            optimizer.zero_grad()
            value = loss(network(x), y)
            value.backward()
            gradients = [p.grad.flatten() for p in network.parameters() if p.grad is not None]
            found.append((value.item(), torch.cat(gradients)))
        (plain, g_plain), (fast, g_fast) = found
        assert fast == pytest.approx(plain, rel=1e-6)
        assert (g_fast - g_plain).norm() < 2e-4 * g_plain.norm()  # MRSTFT's kink
        optimizer.step()

"""Packed training: independent submodels inside one network."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from namexp.errors import UserError
from namexp.models.wavenet import PackedWaveNet, WaveNet
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.loss import CaptureLoss
from tests.architectures import pack

PACKS = {
    "two": pack(3, 8),
    "three": pack(2, 3, 5),
    "two_arrays": pack([4, 2], [6, 3]),
    "head1x1": pack(4, 6, head1x1={"active": True, "out_channels": 2}),
    "one": pack(3),
}
LOSS = LossConfig(
    mse_weight=1.0, esr_weight=0.1, dc_weight=0.5, mrstft_weight=5e-4, pre_emphasis_mse_weight=0.2,
    pre_emphasis_mse_coefficient=0.85, pre_emphasis_mrstft_weight=2e-4,
    pre_emphasis_mrstft_coefficient=0.85, val_loss="esr",
)  # fmt: skip
STEPS = 20


def _batches(R: int, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    batches = []
    for _ in range(STEPS):
        x = torch.randn(1, 1100 + R - 1, generator=generator, dtype=dtype)
        batches.append((x, torch.tanh(2.0 * x[:, R - 1 :])))
    return batches


def _train(net: nn.Module, batches: list[tuple[Tensor, Tensor]], dtype: torch.dtype) -> None:
    loss_of = CaptureLoss(LOSS).to(dtype)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.004, weight_decay=3.17e-7)
    for x, y in batches:
        optimizer.zero_grad()
        loss_of(net(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", ["two", "three", "two_arrays"])
def test_packed_training_equals_training_alone(name: str, dtype: torch.dtype, tolerance: float) -> None:
    net = PackedWaveNet(PACKS[name]).to(dtype)
    alone = [copy.deepcopy(wavenet) for wavenet in net.wavenets()]
    before = [wavenet.export_weights() for wavenet in alone]
    R = alone[0].receptive_field
    assert R is not None
    batches = _batches(R, dtype)
    _train(net, batches, dtype)
    for packed, lone, first in zip(net.wavenets(), alone, before, strict=True):
        _train(lone, batches, dtype)
        torch.testing.assert_close(packed.export_weights(), lone.export_weights(), rtol=0, atol=tolerance)
        assert (packed.export_weights() - first).abs().max() > 0.01, "it has learned something"


@pytest.mark.parametrize("submodels", PACKS.values(), ids=PACKS.keys())
def test_one_larger_network_with_masked_weights_plays_the_same(submodels: list) -> None:
    net = PackedWaveNet(submodels).double()
    large, masks = net.block_diagonal()
    x = torch.randn(2, 300, dtype=torch.float64)
    torch.testing.assert_close(large.transform(x[:, None], x[:, None]), net(x), rtol=0, atol=1e-14)
    inside = sum(int(mask.sum()) for mask in masks)
    assert inside == sum(s.spec.num_weights - 1 for s in submodels), "the blocks are all parameters"


def test_the_masked_network_learns_the_same() -> None:
    # The documented form: every weight of the larger network, gradients masked to the blocks.
    net = PackedWaveNet(PACKS["two"]).double()
    large, masks = net.block_diagonal()
    parameters = list(large.file_tensors())
    loss_of = CaptureLoss(LOSS).double()
    R = net.receptive_field
    assert R is not None
    batches = _batches(R, torch.float64)
    optimizer = torch.optim.Adam(parameters, lr=0.004, weight_decay=3.17e-7)
    for x, y in batches:
        optimizer.zero_grad()
        loss_of(large.transform(x[:, None], x[:, None]), y).backward()
        for parameter, mask in zip(parameters, masks, strict=True):
            if parameter.grad is not None:
                parameter.grad *= mask
        optimizer.step()
    _train(net, batches, torch.float64)
    again, _ = net.block_diagonal()
    for ours, documented in zip(again.file_tensors(), parameters, strict=True):
        torch.testing.assert_close(ours, documented, rtol=0, atol=1e-11)


def test_the_a2_pack_amounts_to_the_peers_numbers(experiment_config: object) -> None:
    config = experiment_config("model=packed_wavenet")
    large, masks = PackedWaveNet(config.plan.submodels).block_diagonal()
    weights = [m for m in masks if m.ndim == 3]
    assert sum(m.numel() for m in masks) == 22783, "registered by the peer"
    assert (sum(int(m.sum()) for m in weights), sum(m.numel() for m in weights)) == (13507, 22275)
    assert large.receptive_field == 6347


def test_every_block_is_initialised_by_its_own_fan_in() -> None:
    for wavenet in PackedWaveNet(pack(3, 8)).wavenets():
        for conv in wavenet.convs():
            bound = 1.0 / math.sqrt(conv.in_channels * conv.kernel_size[0])
            assert float(conv.weight.detach().abs().max()) <= bound
            if conv.weight.numel() > 50:
                assert float(conv.weight.detach().abs().max()) > 0.8 * bound


def test_an_error_in_one_submodel_never_reaches_another() -> None:
    net = PackedWaveNet(PACKS["three"])
    x = torch.randn(2, 300)
    y = net(x)
    y[:, 1].pow(2).sum().backward()
    touched = [any(p.grad is not None and p.grad.any() for p in w.parameters()) for w in net.wavenets()]
    assert touched == [False, True, False]
    with torch.no_grad():
        next(iter(net.wavenets()[1].parameters())).fill_(float("nan"))
    broken = net(x)
    assert torch.equal(broken[:, [0, 2]], y[:, [0, 2]])
    assert bool(broken[:, 1].isnan().all())


@pytest.mark.parametrize("activation", ["PReLU", {"type": "PReLU", "per_channel": True}])
def test_learned_activation_parameters_belong_to_their_submodel(activation: object) -> None:
    net = PackedWaveNet(pack(2, 4) if activation is None else _prelu_pack(activation))
    small, large = net.wavenets()
    with torch.no_grad():
        small.layer_arrays[0].layers[1].activation.slopes.fill_(0.7)
        large.layer_arrays[0].layers[1].activation.slopes.fill_(-0.1)
    assert set(small.spec.layer_arrays[0].layers[1].activation.slopes) == {torch.tensor(0.7).item()}
    x = torch.randn(1, 300)
    whole, _ = net.block_diagonal()
    torch.testing.assert_close(whole.transform(x[:, None], x[:, None]), net(x), rtol=0, atol=1e-6)
    extracted = WaveNet(small.spec)
    extracted.import_weights(small.export_weights())
    assert torch.equal(extracted(x), net(x)[:, :1])


def _prelu_pack(activation: object) -> list:
    from namexp.architectures.packing import Submodel
    from namexp.architectures.parsing import parse_wavenet
    from tests.architectures import layers

    return [
        Submodel(
            f"c{c}",
            parse_wavenet(
                {"layer_arrays": [layers(channels=c, activation=activation)], "head_scale": 0.1}, "model"
            ),
        )
        for c in (2, 4)
    ]


def test_incompatible_submodels_are_refused() -> None:
    with pytest.raises(UserError, match=r"'channels_3' and 'channels_8' differ in .*dilations"):
        PackedWaveNet([*pack(3), *pack(8, dilations=[1, 2, 4, 9])])

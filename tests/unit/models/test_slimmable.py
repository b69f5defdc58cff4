"""Channel slicing: every width is a network, and learns what it should."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
import torch

from namexp.architectures.wavenet import SlimmableSpec
from namexp.models.wavenet import SlimmableWaveNet, WaveNet
from tests.architectures import SLIMMABLE, layers, wavenet


def _net(**options: object) -> SlimmableWaveNet:
    return SlimmableWaveNet(SLIMMABLE, **options)


@pytest.mark.parametrize("gating_mode", ["none", "gated", "blended"])
def test_every_row_is_the_ordinary_network_of_that_width(gating_mode: str) -> None:
    spec = wavenet(
        layers(
            channels=4,
            gating_mode=gating_mode,
            slimmable={"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [1, 2, 4]}},
        )
    )
    net = SlimmableWaveNet(spec).double().eval()
    x = torch.randn(2, 100, dtype=torch.float64)
    rows = net(x)
    assert rows.shape[1] == 3
    for i, width in enumerate((1, 2, 4)):
        slim = net.slimmed(i).double()
        for name, parameter in net.wavenet.named_parameters():
            cut = parameter[net._slice(name, parameter, i)]
            slim.get_parameter(name).data.copy_(cut)
        assert slim.spec.channels == [width]
        torch.testing.assert_close(slim(x), rows[:, i : i + 1], rtol=0, atol=1e-14)


def test_full_width_is_the_whole_network() -> None:
    net = _net().eval()
    x = torch.randn(1, 100)
    assert torch.equal(net(x)[:, -1:], net.wavenet(x))


def test_without_a_list_every_width_is_allowed() -> None:
    array = replace(SLIMMABLE.layer_arrays[0], slimmable=SlimmableSpec(None))
    net = SlimmableWaveNet(replace(SLIMMABLE, layer_arrays=(array,)))
    assert net.widths == (1, 2, 3, 4, 5, 6)


def test_drawn_widths_follow_the_seed_and_the_step_alone() -> None:
    def drawn(seed: int) -> list[int]:
        net = _net(seed=seed).train()
        widths = []
        for step in range(300):
            torch.rand(1)  # other randomness does not matter
            net.begin_step(step)
            widths.append(net._drawn)
        return widths

    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)
    counts = Counter(drawn(0))
    assert set(counts) == {0, 1, 2}
    assert min(counts.values()) > 70, "all widths are equally likely"


def test_training_plays_the_drawn_width() -> None:
    net = _net().train()
    x = torch.randn(1, 100)
    net.begin_step(5)
    drawn = net._drawn
    y = net(x)
    assert torch.equal(y, net.eval()(x)[:, drawn : drawn + 1])


def test_all_widths_can_be_trained_on_every_batch() -> None:
    net = _net(size_sampling="all").train()
    assert net(torch.randn(1, 100)).shape[1] == 3


def test_boosting_teaches_a_width_only_what_it_adds() -> None:
    net = _net(boosting=True).train()
    net._drawn = 1  # 3 channels, after 2
    net(torch.randn(1, 100)).pow(2).sum().backward()
    conv = net.wavenet.layer_arrays[0].layers[0].conv
    gradient = conv.weight.grad
    assert gradient is not None
    assert not gradient[:2, :2].any(), "what the smaller width has"
    assert not gradient[3:].any(), "what only wider ones have"
    assert gradient[2, :3].all()
    assert gradient[:2, 2].all()
    assert conv.bias.grad is not None
    assert torch.nonzero(conv.bias.grad).flatten().tolist() == [2]
    head = net.wavenet.layer_arrays[0].head_rechannel
    assert head.bias.grad is not None
    assert not head.bias.grad.any(), "the head's bias learns at the smallest width"


def test_boosting_keeps_the_smaller_width_against_momentum_and_decay() -> None:
    net = _net(boosting=True).train()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01, weight_decay=0.1)
    x = torch.randn(1, 100)

    def step(width: int) -> None:
        net._drawn = width
        optimizer.zero_grad()
        net(x).pow(2).sum().backward()
        with net.parameter_update():
            optimizer.step()

    step(0)  # fills the momentum of the smallest width
    small = net.slimmed(0).export_weights()
    step(2)
    middle = net.slimmed(1).export_weights()
    assert torch.equal(net.slimmed(0).export_weights(), small)
    step(2)
    assert torch.equal(net.slimmed(1).export_weights(), middle)


def test_smallest_and_zeros() -> None:
    net = _net(init_strategy="smallest_and_zeros").eval()
    rows = net(torch.randn(1, 100))
    torch.testing.assert_close(rows[:, 1], rows[:, 0], rtol=0, atol=1e-6)
    torch.testing.assert_close(rows[:, 2], rows[:, 0], rtol=0, atol=1e-6)
    weight = net.wavenet.layer_arrays[0].layers[0].conv.weight
    assert weight[:2, :2].all()
    assert not weight[2:].any()
    assert not weight[:, 2:].any()


def test_channel_causal_ignores_what_wider_ones_add() -> None:
    net = _net(init_strategy="channel_causal")
    weight = net.wavenet.layer_arrays[0].layers[0].conv.weight
    assert not weight[:2, 2:].any()
    assert not weight[:3, 3:].any()
    assert weight[3:].all()


@pytest.mark.parametrize("boosting", [True, False])
@pytest.mark.parametrize(("init_strategy", "learns"), [("grown", True), ("smallest_and_zeros", False)])
def test_every_width_begins_as_the_smallest_and_which_of_them_can_learn(
    init_strategy: str, learns: bool, boosting: bool
) -> None:
    net = _net(init_strategy=init_strategy, boosting=boosting)
    x, y = torch.randn(2, 100), torch.randn(2, 100)
    rows = net.eval()(x)
    torch.testing.assert_close(rows, rows[:, :1].expand_as(rows), rtol=0, atol=1e-6)
    optimizer = torch.optim.Adam(net.train().parameters(), lr=0.01)
    for step in range(30):
        net._drawn = step % 3
        optimizer.zero_grad()
        out = net(x)[:, 0]
        (out - y[:, -out.shape[-1] :]).square().sum().backward()
        with net.parameter_update():
            optimizer.step()
    small, middle, large = net.eval()(x).unbind(1)
    assert torch.allclose(middle, small, atol=1e-6) is not learns, "zeros on both sides of a channel stay"
    assert torch.allclose(large, middle, atol=1e-6) is not learns


def test_file_weights_are_those_of_the_full_width() -> None:
    net = _net()
    again = WaveNet(SLIMMABLE)
    again.import_weights(net.wavenet.export_weights())
    x = torch.randn(1, 100)
    assert torch.equal(again(x), net.eval()(x)[:, -1:])

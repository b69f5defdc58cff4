"""What every network answers for its rows, so that nobody asks for its kind."""

from __future__ import annotations

import pytest
import torch

from namexp.architectures.packing import Submodel
from namexp.models.container import Container
from namexp.models.network import Network
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet
from tests.architectures import SLIMMABLE, layers, wavenet

SMALL, LARGE = (wavenet(layers(channels=c)) for c in (2, 4))


def _pack() -> PackedWaveNet:
    return PackedWaveNet([Submodel("small", SMALL), Submodel("large", LARGE)])


def _container() -> Container:
    return Container([(0.25, WaveNet(SMALL)), (1.0, WaveNet(LARGE))])


def _slimmable() -> SlimmableWaveNet:
    return SlimmableWaveNet(SLIMMABLE)


def _ordinary() -> WaveNet:
    return WaveNet(LARGE)


NETWORKS = {"pack": _pack, "container": _container, "slimmable": _slimmable, "wavenet": _ordinary}


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_a_row_alone_plays_what_it_plays_among_the_others(name: str) -> None:
    network: Network = NETWORKS[name]().eval()
    assert network.receptive_field is not None
    x = torch.randn(2, network.receptive_field + 40)
    together = network(x)
    assert together.shape[1] == len(network.row_suffixes)
    for row in range(together.shape[1]):
        alone = network.alone(row)
        assert len(alone.row_suffixes) == 1
        torch.testing.assert_close(alone(x)[:, 0], together[:, row], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", NETWORKS)
def test_members_are_the_parts_with_weights_of_their_own(name: str) -> None:
    network: Network = NETWORKS[name]()
    if name in ("slimmable", "wavenet"):
        assert network.members == ()
        return
    assert [network.alone(row) for row in range(2)] == list(network.members)
    own = [{id(p) for p in member.parameters()} for member in network.members]
    assert not own[0] & own[1]
    assert own[0] | own[1] == {id(p) for p in network.parameters()}


def test_a_width_alone_is_a_copy_and_the_whole_is_not() -> None:
    network = _slimmable()
    alone = network.alone(0)
    with torch.no_grad():
        next(alone.parameters()).add_(1.0)
    assert not torch.equal(next(network.alone(0).parameters()), next(alone.parameters()))
    assert network.whole is network.wavenet
    ordinary = _ordinary()
    assert ordinary.whole is ordinary.alone(0) is ordinary


@pytest.mark.parametrize(
    ("name", "slim", "row"),
    [
        ("pack", 0.0, 0), ("pack", 0.49, 0), ("pack", 0.5, 1), ("pack", 1.0, 1),
        ("container", 0.24, 0), ("container", 0.25, 1), ("container", 1.0, 1),
        ("slimmable", 0.0, 0), ("slimmable", 1.0, 2), ("wavenet", 0.3, 0),
    ],
)  # fmt: skip
def test_the_knob_has_equal_shares_unless_there_are_thresholds(name: str, slim: float, row: int) -> None:
    assert NETWORKS[name]().selected(slim) == row

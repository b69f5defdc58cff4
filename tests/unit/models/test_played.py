"""The architectures that are played: against loops in float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.played import ConvNetSpec, LinearSpec, LstmSpec
from namexp.models.container import Container
from namexp.models.conv_net import ConvNet
from namexp.models.linear import Linear
from namexp.models.lstm import Lstm
from namexp.models.network import Network
from namexp.models.streaming import play, player, respond
from namexp.models.wavenet import WaveNet
from tests.architectures import CONDITION, layers, wavenet


def test_linear_is_an_impulse_response() -> None:
    net = Linear(LinearSpec(4, True)).double()
    response = torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64)
    with torch.no_grad():
        net.impulse_response.copy_(response)
        net.bias.fill_(0.25)
    x = torch.zeros(1, 8, dtype=torch.float64)
    x[0, 2] = 1.0
    expected = torch.full((8,), 0.25, dtype=torch.float64)
    expected[2:6] += response
    torch.testing.assert_close(play(net, x)[0, 0], expected)


def test_lstm_by_hand_from_its_stored_states() -> None:
    spec = LstmSpec(1, 3, 2)
    net = Lstm(spec).double()
    weights = torch.randn(spec.num_weights, dtype=torch.float64)
    net.import_weights(weights)
    assert torch.equal(net.export_weights(), weights)
    x = torch.randn(1, 40, dtype=torch.float64)
    H, start, cells = 3, 0, []
    for inputs in (1, 3):
        matrix = weights[start : start + 4 * H * (inputs + H)].reshape(4 * H, inputs + H)
        start += matrix.numel()
        bias, h, c = (weights[start + i : start + j] for i, j in ((0, 12), (12, 15), (15, 18)))
        start += 18
        cells.append([matrix, bias, h, c])
    outputs = []
    for sample in x[0]:
        value = sample[None]
        for cell in cells:
            matrix, bias, h, c = cell
            i, f, g, o = (matrix @ torch.cat([value, h]) + bias).chunk(4)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            cell[2:] = [h, c]
            value = h
        outputs.append(weights[-4:-1] @ value + weights[-1])
    for chunk in (7, 1000):
        torch.testing.assert_close(
            play(net, x, chunk=chunk)[0, 0], torch.stack(outputs), rtol=1e-10, atol=1e-12
        )


def test_conv_net_by_hand() -> None:
    spec = ConvNetSpec(2, (3,), True, ActivationSpec("Tanh"))
    net = ConvNet(spec).double()
    with torch.no_grad():
        for tensor in net.file_tensors():
            tensor.copy_(torch.rand_like(tensor) + 0.1)
    assert sum(t.numel() for t in net.file_tensors()) == spec.num_weights
    conv, mean, variance, weight, bias, eps, head, offset = net.file_tensors()
    x = torch.randn(1, 5, dtype=torch.float64)
    z = conv[:, 0, 0] * x[0, 1] + conv[:, 0, 1] * x[0, 4]
    a = torch.tanh((z - mean) / torch.sqrt(variance + eps) * weight + bias)
    torch.testing.assert_close(net(x)[0, 0, -1], head[0, :, 0] @ a + offset[0])


def test_a_container_plays_the_first_submodel_above_the_knob() -> None:
    nets = [Linear(LinearSpec(n, False)) for n in (1, 2, 3)]
    container = Container(list(zip((0.25, 0.75, 1.0), nets, strict=True)))
    knob = [0.0, 0.2499, 0.25, 0.7499, 0.75, 1.0]
    assert [container.selected(v) for v in knob] == [0, 0, 1, 1, 2, 2]
    assert container.receptive_field == 3


def test_a_container_plays_every_submodel_from_its_own_silence() -> None:
    nets = [Linear(LinearSpec(n, False)) for n in (1, 3)]
    with torch.no_grad():
        for net in nets:
            net.impulse_response.fill_(1.0)
    played = play(Container(list(zip((0.5, 1.0), nets, strict=True))), torch.ones(1, 4))
    assert played[0].tolist() == [[1, 1, 1, 1], [1, 2, 3, 3]]


def test_a_recurrent_condition_is_played_once_over_the_whole() -> None:
    lstm = Lstm(LstmSpec(1, 2, 1)).double()
    spec = wavenet(layers())
    ordinary = WaveNet(wavenet(layers(condition_size=3), condition_dsp=CONDITION))
    net = WaveNet(spec, condition=lstm).double()
    assert net.receptive_field is None
    assert ordinary.receptive_field == 31 + 8
    x = torch.randn(1, 90, dtype=torch.float64)
    whole = play(net, x, chunk=10_000)
    torch.testing.assert_close(play(net, x, chunk=13), whole, rtol=0, atol=1e-13)
    padded = torch.nn.functional.pad(x, (30, 0))
    expected = net.transform(padded[:, None], lstm(padded))
    torch.testing.assert_close(whole, expected, rtol=0, atol=1e-13)


def _recurrent_condition() -> WaveNet:
    return WaveNet(wavenet(layers()), condition=Lstm(LstmSpec(1, 2, 1)))


KINDS: dict[str, Callable[[], Network]] = {
    "wavenet": lambda: WaveNet(wavenet(layers())),
    "lstm": lambda: Lstm(LstmSpec(1, 3, 2)),
    "container": lambda: Container([(0.5, WaveNet(wavenet(layers()))), (1.0, Lstm(LstmSpec(1, 2, 1)))]),
    "recurrent condition": _recurrent_condition,
    "nested container": lambda: Container([(1.0, Container([(1.0, WaveNet(wavenet(layers())))]))]),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_audio_in_blocks_is_played_as_a_whole(kind: str) -> None:
    net = KINDS[kind]().double()
    x = torch.randn(2, 400, dtype=torch.float64)
    whole = play(net, x)
    assert whole.shape == (2, len(net.row_suffixes), 400)
    blocks = player(net, 2, chunk=50)
    parts = [blocks.advance(part) for part in x.split([1, 3, 200, 70, 126], dim=-1)]
    torch.testing.assert_close(torch.cat(parts, dim=-1), whole, rtol=0, atol=1e-13)


@pytest.mark.parametrize("threads", [1, 3])
def test_chunks_side_by_side_are_in_order(threads: int) -> None:
    torch.set_num_threads(threads)
    net = WaveNet(wavenet(layers())).double()
    x = torch.randn(2, 10 * 37 + 5 + 30, dtype=torch.float64)
    torch.testing.assert_close(respond(net, x, chunk=37), net(x), rtol=0, atol=1e-13)

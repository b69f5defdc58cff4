"""The ordinary WaveNet: causality, receptive field, weights, chunks."""

from __future__ import annotations

import pytest
import torch

from namexp.architectures.wavenet import WaveNetSpec
from namexp.models.streaming import play, respond
from namexp.models.wavenet import WaveNet
from tests.architectures import PLAYABLE, layers, wavenet


@pytest.mark.parametrize("spec", PLAYABLE.values(), ids=PLAYABLE.keys())
def test_output_depends_on_exactly_the_receptive_field(spec: WaveNetSpec) -> None:
    R = spec.receptive_field
    assert R is not None
    net = WaveNet(spec).double()
    x = torch.randn(1, R + 4, dtype=torch.float64, requires_grad=True)
    y = net(x)
    assert y.shape == (1, 1, 5)
    (gradient,) = torch.autograd.grad(y[0, 0, 2], x)
    reached = torch.nonzero(gradient[0]).flatten()
    assert reached.max() == R + 1, "the newest sample that counts is the output's own"
    # The first layer mixes the condition in after its convolution, so the way through condition_dsp
    # is shorter by that kernel than the sum that the peer and the runtime call R.
    first = spec.layer_arrays[0].layers[0]
    spare = (first.kernel_size - 1) * first.dilation if spec.condition_dsp else 0
    assert reached.min() == 2 + spare, "the oldest one lies R - 1 samples before it"


@pytest.mark.parametrize("spec", PLAYABLE.values(), ids=PLAYABLE.keys())
def test_output_is_causal(spec: WaveNetSpec) -> None:
    net = WaveNet(spec)
    x = torch.randn(1, 300)
    y = play(net, x)
    x[0, -1] += 1.0
    assert torch.equal(play(net, x)[..., :-1], y[..., :-1])
    assert not torch.equal(play(net, x)[..., -1], y[..., -1])


@pytest.mark.parametrize("spec", PLAYABLE.values(), ids=PLAYABLE.keys())
def test_weights_survive_the_order_of_a_file(spec: WaveNetSpec) -> None:
    net, other = WaveNet(spec), WaveNet(spec)
    weights = net.export_weights()
    assert weights.numel() == spec.num_weights
    other.import_weights(weights)
    assert torch.equal(other.export_weights(), weights)
    assert other.head_scale == net.head_scale


def test_the_last_weight_is_the_head_scale_that_counts() -> None:
    net = WaveNet(wavenet(head_scale=1e-6))
    weights = net.export_weights()
    weights[-1] = 8e-6
    net.import_weights(weights)
    assert net.head_scale == pytest.approx(8e-6, rel=1e-6)


def test_a_wrong_number_of_weights_is_refused() -> None:
    net = WaveNet(wavenet())
    weights = net.export_weights()
    with pytest.raises(ValueError, match=f"has {weights.numel()} weights, got {weights.numel() - 1}"):
        net.import_weights(weights[:-1])


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000])
@pytest.mark.parametrize("name", ["plain", "two_arrays", "condition", "top_head"])
def test_chunks_do_not_change_the_numbers(name: str, chunk: int) -> None:
    net = WaveNet(PLAYABLE[name]).double()
    x = torch.randn(2, 200, dtype=torch.float64)
    torch.testing.assert_close(respond(net, x, chunk=chunk), net(x), rtol=0, atol=1e-14)


def test_playing_starts_from_silence() -> None:
    net = WaveNet(wavenet()).double()
    R = net.receptive_field
    assert R is not None
    x = torch.randn(1, 50, dtype=torch.float64)
    whole = net(torch.cat([torch.zeros(1, R - 1, dtype=torch.float64), x], dim=1))
    torch.testing.assert_close(play(net, x), whole, rtol=0, atol=1e-14)


def test_too_short_an_input_is_refused() -> None:
    net = WaveNet(wavenet())
    with pytest.raises(ValueError, match="30 samples are fewer than the receptive field of 31"):
        respond(net, torch.zeros(1, 30))


def test_only_the_last_layer1x1_of_the_last_array_is_dead() -> None:
    # Its weights are in the file but never heard: no gradient, so an optimiser leaves them alone.
    net = WaveNet(PLAYABLE["two_arrays"])
    net(torch.randn(1, 200)).pow(2).sum().backward()
    dead = {name for name, p in net.named_parameters() if p.grad is None}
    assert dead == {"layer_arrays.1.layers.1.layer1x1.weight", "layer_arrays.1.layers.1.layer1x1.bias"}


def test_one_layer_by_hand() -> None:
    # y = scale * head(act(conv(rechannel(x)) + mixer(x))), written out with loops
    spec = wavenet(layers(channels=2, kernel_sizes=2, dilations=[3], gating_mode="blended"))
    net = WaveNet(spec).double()
    (array,) = net.layer_arrays
    (layer,) = array.layers
    x = torch.randn(6, dtype=torch.float64)
    t = 5
    h = [array.rechannel.weight[:, 0, 0] * x[i] for i in range(6)]
    z = layer.conv.bias + layer.input_mixer.weight[:, 0, 0] * x[t]
    z = z + layer.conv.weight[:, :, 0] @ h[t - 3] + layer.conv.weight[:, :, 1] @ h[t]
    gate = torch.sigmoid(z[2:])
    a = gate * torch.tanh(z[:2]) + (1 - gate) * z[:2]
    y = 0.5 * (array.head_rechannel.weight[0, :, 0] @ a + array.head_rechannel.bias[0])
    torch.testing.assert_close(net(x[None])[0, 0, -1], y, rtol=1e-12, atol=1e-14)


def test_layer1x1_post_film_is_applied_in_every_gating_mode() -> None:
    # the walkthrough's step 5; the C++ runtime 0.5.5 applies it only when blending
    spec = wavenet(layers(layer1x1_post_film={"active": True}))
    net = WaveNet(spec)
    x = torch.randn(1, 100)
    before = net(x)
    with torch.no_grad():
        net.layer_arrays[0].layers[0].films["layer1x1_post_film"].conv.bias += 1.0
    assert not torch.allclose(net(x), before)

"""HiFi-GAN's networks: sizes, initial weights, norms, and the formulas, written out once more."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namexp.architectures.hifigan import GeneratorSpec
from namexp.models.hifigan import (
    DiscriminatorP,
    DiscriminatorS,
    Generator,
    HiFiGAN,
    MultiPeriodDiscriminator,
    MultiScaleDiscriminator,
)
from namexp.models.hifigan.convolutions import Conv1d, Convolution, ConvTranspose1d
from tests.unit.models.hifigan_specs import SMALL_V1, SMALL_V2, TINY, V1, V2, V3


def _count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def _on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


# --- sizes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "training", "synthesis"),
    [
        (V1, 13_936_130, 13_926_017),
        (V2, 928_514, 925_985),
        (V3, 1_464_322, 1_462_273),
        (TINY, 39_010, TINY.num_parameters),
    ],
)
def test_the_generators_have_the_papers_sizes(spec: GeneratorSpec, training: int, synthesis: int) -> None:
    assert _count(_on_meta(lambda: Generator(spec))) == spec.num_parameters_training == training
    assert _count(_on_meta(lambda: Generator(spec, normed=False))) == spec.num_parameters == synthesis


def test_the_discriminators_have_the_official_sizes() -> None:
    assert _count(_on_meta(MultiPeriodDiscriminator)) == 41_105_770
    assert _count(_on_meta(MultiScaleDiscriminator)) == 29_618_821
    assert _count(_on_meta(lambda: MultiPeriodDiscriminator(normed=False))) == 41_092_165
    assert _count(_on_meta(lambda: MultiScaleDiscriminator(normed=False))) == 29_610_627
    thin = HiFiGAN(TINY, width=16)
    assert _count(thin.mpd) + _count(thin.msd) == 281_885
    groups = [conv.groups for conv in thin.msd.get_submodule("discriminators.1.convs")]
    assert groups == [1, 4, 8, 16, 16, 16, 1]  # 8 channels into 16 cannot be split 16 times


# --- initial weights ------------------------------------------------------------------------------------


def test_initial_weights_are_torchs_of_the_same_seed() -> None:
    torch.manual_seed(7)
    ours = Conv1d(6, 8, 5, dilation=2), ConvTranspose1d(8, 4, 4, stride=2)
    torch.manual_seed(7)
    theirs = nn.Conv1d(6, 8, 5, dilation=2), nn.ConvTranspose1d(8, 4, 4, 2)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.weight_v, other.weight)
        assert torch.equal(one.bias, other.bias)
        norm = other.weight.flatten(1).norm(dim=1).view(-1, 1, 1)
        torch.testing.assert_close(one.weight_g, norm)


def test_the_papers_initial_weights_act_and_cost_no_other_random_numbers() -> None:
    torch.manual_seed(3)
    default = Generator(V2)
    after_default = torch.rand(1)
    torch.manual_seed(3)
    normal = Generator(V2, init="normal")
    assert torch.equal(torch.rand(1), after_default)
    drawn = [m for n, m in normal.named_modules() if isinstance(m, Convolution) and n != "conv_pre"]
    weights = torch.cat([conv.effective().weight.detach().flatten() for conv in drawn])
    assert weights.std() == pytest.approx(0.01, rel=0.01)
    assert weights.mean().abs() < 3 * 0.01 / math.sqrt(weights.numel())
    assert torch.equal(normal.conv_pre.weight_v, default.conv_pre.weight_v)
    assert not torch.equal(normal.ups[0].weight_v, default.ups[0].weight_v)
    for one, other in zip(normal.modules(), default.modules(), strict=True):
        if isinstance(one, Convolution):
            assert torch.equal(one.bias, other.bias)


# --- the generator --------------------------------------------------------------------------------------


def _generated(generator: Generator, mel: Tensor) -> Tensor:
    """The paper's formulas, nothing in place, from the effective weights."""
    spec, convs = generator.spec, dict(generator.named_modules())
    K = len(spec.resblock_kernel_sizes)

    def conv(name: str, x: Tensor, dilation: int = 1) -> Tensor:
        weight, bias = convs[name].effective()
        return F.conv1d(
            x, weight, bias, padding=(weight.shape[-1] * dilation - dilation) // 2, dilation=dilation
        )

    x = conv("conv_pre", mel)
    for i, (rate, kernel) in enumerate(zip(spec.upsample_rates, spec.upsample_kernel_sizes, strict=True)):
        weight, bias = convs[f"ups.{i}"].effective()
        x = F.conv_transpose1d(F.leaky_relu(x, 0.1), weight, bias, rate, (kernel - rate) // 2)
        outputs = []
        for j, dilations in enumerate(spec.resblock_dilation_sizes):
            y, block = x, f"resblocks.{i * K + j}"
            for n, dilation in enumerate(dilations):
                if spec.resblock == "1":
                    inner = conv(f"{block}.convs1.{n}", F.leaky_relu(y, 0.1), dilation)
                    y = y + conv(f"{block}.convs2.{n}", F.leaky_relu(inner, 0.1))
                else:
                    y = y + conv(f"{block}.convs.{n}", F.leaky_relu(y, 0.1), dilation)
            outputs.append(y)
        x = sum(outputs) / K
    return torch.tanh(conv("conv_post", F.leaky_relu(x, 0.01)))


@pytest.mark.parametrize("spec", [SMALL_V1, SMALL_V2])
def test_the_generator_and_its_gradients_are_the_papers(spec: GeneratorSpec) -> None:
    generator = Generator(spec).double()
    mel = torch.randn(2, spec.n_mels, 9, dtype=torch.float64, requires_grad=True)
    audio, expected = generator(mel), _generated(generator, mel)
    assert audio.shape == (2, 1, 9 * spec.hop_length)
    torch.testing.assert_close(audio, expected, rtol=1e-12, atol=1e-14)
    direction = torch.randn_like(audio)
    wanted = [mel, *generator.parameters()]
    found = torch.autograd.grad((audio * direction).sum(), wanted)
    for gradient, other in zip(found, torch.autograd.grad((expected * direction).sum(), wanted), strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-10, atol=1e-13)
    with torch.no_grad():  # where the activations are computed another way
        torch.testing.assert_close(generator(mel), expected, rtol=1e-12, atol=1e-14)


def test_a_frame_is_heard_as_far_as_the_spec_says() -> None:
    generator = Generator(TINY).double()
    mel = torch.randn(1, 80, 41, dtype=torch.float64)
    other = mel.clone()
    other[..., 20] += 1.0
    changed = (generator(mel) != generator(other)).nonzero()[:, -1] // TINY.hop_length
    assert 20 - changed.min() <= TINY.context_frames
    assert changed.max() - 20 <= TINY.context_frames
    assert max(20 - changed.min(), changed.max() - 20) == TINY.context_frames


@pytest.mark.parametrize("spec", [SMALL_V1, SMALL_V2])
def test_the_fused_copy_plays_the_same_and_draws_nothing(spec: GeneratorSpec) -> None:
    generator = Generator(spec)
    with torch.no_grad():
        generator.ups[0].weight_g *= 1.7  # a gain that is no longer the norm of v
    state = torch.get_rng_state()
    fused = generator.fused()
    assert torch.equal(torch.get_rng_state(), state)
    assert (generator.normed, fused.normed) == (True, False)
    assert {name.rsplit(".", 1)[1] for name in fused.state_dict()} == {"weight", "bias"}
    mel = torch.randn(1, spec.n_mels, 7)
    before = fused(mel)
    torch.testing.assert_close(before, generator(mel), rtol=0.0, atol=1e-7)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.zero_()
    assert torch.equal(fused(mel), before)  # nothing is shared
    assert torch.equal(fused.fused()(mel), before)


def test_a_deep_copy_has_blocks_of_its_own() -> None:
    generator = Generator(SMALL_V2)
    twin = copy.deepcopy(generator)
    mel = torch.randn(1, 6, 5)
    before = generator(mel)
    with torch.no_grad():
        for parameter in twin.resblocks.parameters():
            parameter.mul_(2.0)
    assert torch.equal(generator(mel), before)
    assert not torch.equal(twin(mel), before)


# --- norms ----------------------------------------------------------------------------------------------


def test_weight_norm_is_along_the_first_dimension_of_transposed_convolutions_too() -> None:
    conv = ConvTranspose1d(3, 2, 4, stride=2)
    with torch.no_grad():
        conv.weight_g.copy_(torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1))
    norms = conv.effective().weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.tensor([1.0, 2.0, 3.0]))


def test_the_spectral_norm_tends_to_one_and_rests_in_evaluation() -> None:
    conv = Conv1d(3, 4, 5, norm="spectral").double()
    before = conv.state_dict()["weight_u"].clone()
    conv.eval().effective()
    assert torch.equal(conv.weight_u, before)
    conv.train().effective()
    assert not torch.equal(conv.weight_u, before)
    for _ in range(300):
        weight = conv.effective().weight
    largest = torch.linalg.matrix_norm(weight.flatten(1), 2)
    torch.testing.assert_close(largest, torch.ones((), dtype=torch.float64), rtol=1e-9, atol=0.0)


def test_the_gradient_of_a_spectral_weight_survives_the_next_call() -> None:
    conv = Conv1d(2, 3, 3, norm="spectral").double()
    x = torch.randn(1, 2, 8, dtype=torch.float64)
    twin = copy.deepcopy(conv)
    (expected,) = torch.autograd.grad(twin(x).square().sum(), twin.weight_orig)
    first = conv(x).square().sum()
    conv(x)  # moves the estimate on
    (gradient,) = torch.autograd.grad(first, conv.weight_orig)
    assert torch.equal(gradient, expected)


# --- discriminators -------------------------------------------------------------------------------------


def test_a_periods_discriminator_keeps_the_columns_apart() -> None:
    discriminator = DiscriminatorP(3, width=16).double()
    audio = torch.randn(1, 1, 90, dtype=torch.float64)
    other = audio.clone()
    other[..., 1::3] += 1.0
    one, two = discriminator(audio), discriminator(other)
    assert [tuple(f.shape[-2:]) for f in one.features] == [(10, 3), (4, 3), (2, 3), (1, 3), (1, 3), (1, 3)]
    for a, b in zip(one.features, two.features, strict=True):
        assert torch.equal(a[..., [0, 2]], b[..., [0, 2]])
        assert not torch.equal(a[..., 1], b[..., 1])
    assert torch.equal(one.score, one.features[-1].flatten(1))


def test_an_incomplete_row_is_filled_by_reflection() -> None:
    discriminator = DiscriminatorP(5, width=16)
    rows = discriminator.laid_out(torch.arange(12.0).view(1, 1, 12))
    assert rows[0, 0].tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11, 10, 9, 8]]
    assert discriminator.laid_out(torch.zeros(2, 1, 20)).shape == (2, 1, 4, 5)


def test_a_scales_discriminator_hears_means_of_four_with_zeros_around() -> None:
    scales = MultiScaleDiscriminator(width=16)
    audio = torch.arange(1.0, 9.0).view(1, 1, 8)
    assert torch.equal(scales.heard(audio, 0), audio)
    assert scales.heard(audio, 1).flatten().tolist() == [0.75, 2.5, 4.5, 6.5, 3.75]
    assert scales.heard(torch.zeros(1, 1, 601), 2).shape[-1] == 151


def test_only_the_full_rate_has_a_spectral_norm() -> None:
    scales = MultiScaleDiscriminator(width=16)
    assert [d.depends_on_its_calls for d in scales.discriminators] == [True, False, False]
    assert not any(d.depends_on_its_calls for d in MultiPeriodDiscriminator(width=16).discriminators)


@pytest.mark.parametrize(
    "build", [lambda: DiscriminatorP(2, width=16), lambda: DiscriminatorS(width=16)], ids=["P", "S"]
)
def test_frozen_weights_judge_the_same_and_get_no_gradient(build: Callable[[], nn.Module]) -> None:
    discriminator = build()
    audio = torch.randn(2, 1, 500, requires_grad=True)
    judged, free = discriminator(audio, discriminator.frozen_weights()), discriminator(audio)
    assert torch.equal(judged.score, free.score)
    judged.score.sum().backward()
    assert all(p.grad is None for p in discriminator.parameters())
    (expected,) = torch.autograd.grad(free.score.sum(), audio)
    assert torch.equal(audio.grad, expected)


def test_the_maps_are_those_after_the_activation() -> None:
    discriminator = DiscriminatorS(width=16)
    audio = torch.randn(1, 1, 300)
    features = discriminator(audio).features
    x = audio
    for conv, found in zip(discriminator.convs, features[:-1], strict=True):
        x = F.leaky_relu(conv(x), 0.1)
        assert torch.equal(found, x)
    assert torch.equal(features[-1], discriminator.conv_post(x))


def test_the_discriminators_optimiser_counts_scales_first() -> None:
    gan = HiFiGAN(TINY, width=16)
    parameters = gan.discriminator_parameters()
    assert parameters[0] is next(gan.msd.parameters())
    assert len(parameters) == len(list(gan.mpd.parameters())) + len(list(gan.msd.parameters()))

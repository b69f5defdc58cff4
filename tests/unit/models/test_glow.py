"""A Glow: the official density, an exact inverse, a true determinant, actnorms set by images."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from namexp.architectures.glow import ESTIMATORS, Estimator, GlowSpec
from namexp.models.glow import Glow
from namexp.models.glow.layers import ActNorm, LuConvolution, squeeze, unsqueeze


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def small(estimator: Estimator, *, size: int = 8, levels: int = 2, steps: int = 2, hidden: int = 4) -> Glow:
    torch.manual_seed(0)
    embedding = 2 if estimator == "nanoflow" else 0
    return Glow(GlowSpec(size, levels, steps, hidden, estimator, embedding))


@torch.no_grad()
def shaken(network: Glow, by: float = 0.05) -> Glow:
    """With weights of which none is zero."""
    for parameter in network.parameters():
        parameter.add_(by * torch.randn_like(parameter))
    return network


def images(count: int, size: int = 8) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1)) - 0.5


# The official code (L0SG/NanoFlow, image_density_experiments) with the weights below, in float64.
OFFICIAL = {
    "shallow": (9.54608696473099, 9.52186027899257),
    "deep": (9.54643350586588, 9.533880846126129),
    "naive": (9.750315641877839, 9.757416142670596),
    "decomp": (9.545338118045965, 9.537719188916432),
    "nanoflow": (9.505739576785542, 9.523848652171035),
}


@torch.no_grad()
def fill(network: Glow) -> None:
    """Weights by a formula."""
    for i, (_, value) in enumerate(sorted(network.named_parameters())):
        value.copy_((0.1 * torch.cos(0.37 * torch.arange(value.numel()) + i)).view(value.shape))
    for name, buffer in network.named_buffers():
        if name.endswith("permutation"):
            buffer.copy_(torch.eye(len(buffer)).flip(0))
        if name.endswith("signs"):
            buffer.fill_(1.0)
            buffer[1::2] = -1.0


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_an_image_costs_what_it_costs_with_the_official_code(estimator: Estimator) -> None:
    network = small(estimator)
    fill(network)
    x = ((torch.arange(2 * 3 * 64) * 7 % 256 + 0.5) / 256 - 0.5).view(2, 3, 8, 8)
    with torch.no_grad():
        bpd = network.bits_per_dimension(network(x))
    torch.testing.assert_close(bpd, torch.tensor(OFFICIAL[estimator]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_parameters_are_as_many_as_the_spec_says(estimator: Estimator) -> None:
    network = small(estimator, size=16, levels=3, steps=3, hidden=8)
    assert sum(p.numel() for p in network.parameters()) == network.spec.num_parameters


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_inverse_is_exact(estimator: Estimator, levels: int) -> None:
    network = shaken(small(estimator, size=16, levels=levels, steps=4, hidden=8))
    x = images(3, 16)
    with torch.no_grad():
        noise = network(x).noise
        assert [part.shape[1:] for part in noise] == list(network.noise_shapes)
        torch.testing.assert_close(network.inverse(noise), x, rtol=0, atol=1e-10)
        single, y = network.float(), x.float()
        torch.testing.assert_close(single.inverse(single(y).noise), y, rtol=0, atol=3e-5)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_log_determinant_is_that_of_the_jacobian(estimator: Estimator) -> None:
    network = shaken(small(estimator, size=4, levels=2, steps=2))
    x = images(1, 4)

    def flat(values: Tensor) -> Tensor:
        return torch.cat([part.flatten() for part in network(values.view(1, 3, 4, 4)).noise])

    jacobian = torch.autograd.functional.jacobian(flat, x.flatten())
    encoded = network(x)
    # the density of what comes out is the unit normal's times the volume, scales of the priors included
    noise = torch.cat([part.flatten() for part in encoded.noise])
    normal = (-0.5 * noise.square() - 0.5 * math.log(2 * math.pi)).sum()
    expected = normal + torch.linalg.slogdet(jacobian).logabsdet
    found = (encoded.log_determinant + encoded.log_prior)[0]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_bits_of_the_unit_normal() -> None:
    """At first a coupling halves nothing: sigmoid(2); all else is a rotation."""
    network = small("shallow", size=4, levels=1, steps=1)
    x = images(2, 4)
    nats = -0.5 * (network(x).noise[0].square() + math.log(2 * math.pi)).sum(dim=(1, 2, 3))
    nats = nats + 24 * math.log(1 / (1 + math.exp(-2)))
    expected = (math.log(256) * 48 - nats) / (48 * math.log(2))
    torch.testing.assert_close(network.bits_per_dimension(network(x)), expected)


def test_images_set_every_actnorm() -> None:
    network = shaken(small("nanoflow", hidden=8))
    x = images(64)
    seen: dict[str, Tensor] = {}

    def note(name: str) -> None:
        def hook(module: ActNorm, args: object, output: Tensor) -> None:
            seen.setdefault(name, output)  # what steps share is set by the first of them

        network.get_submodule(name).register_forward_hook(hook)

    norms = [name for name, module in network.named_modules() if isinstance(module, ActNorm)]
    for name in norms:
        note(name)
    assert not bool(network.initialised)
    network.initialise(x)
    assert bool(network.initialised)
    assert set(seen) == set(norms)
    for output in seen.values():
        flat = output.transpose(0, 1).flatten(1)
        torch.testing.assert_close(flat.mean(dim=1), torch.zeros(len(flat)), rtol=0, atol=1e-6)
        torch.testing.assert_close(flat.std(dim=1, correction=0), torch.ones(len(flat)), rtol=0, atol=1e-3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(images(3))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_lu_convolution_begins_as_a_rotation() -> None:
    torch.manual_seed(0)
    layer = LuConvolution(12)
    x = torch.randn(2, 12, 3, 3)
    y = layer(x)
    torch.testing.assert_close(y.square().sum(), x.square().sum())
    torch.testing.assert_close(layer.log_determinant(9), torch.zeros(()), rtol=0, atol=1e-12)
    torch.testing.assert_close(layer.inverse(y), x, rtol=0, atol=1e-13)


def test_squeeze_puts_squares_into_channels() -> None:
    x = torch.arange(2 * 2 * 4 * 4.0).view(2, 2, 4, 4)
    y = squeeze(x)
    assert y[0, :, 0, 1].tolist() == [2.0, 3.0, 6.0, 7.0, 18.0, 19.0, 22.0, 23.0]
    assert torch.equal(unsqueeze(y), x)


def test_samples_follow_from_generator_and_temperature() -> None:
    network = shaken(small("decomp", size=16, levels=3))

    def sample(temperature: float, seed: int = 3) -> Tensor:
        return network.sample(4, temperature=temperature, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(sample(0.7), sample(0.7))
    assert not torch.equal(sample(0.7), sample(0.7, seed=4))
    noise = network.draw_noise(4, torch.Generator().manual_seed(3))
    with torch.no_grad():
        found = network(sample(0.7)).noise
    for part, drawn in zip(found, noise, strict=True):
        torch.testing.assert_close(part, 0.7 * drawn, rtol=0, atol=1e-10)
    cold = sample(0.0)
    torch.testing.assert_close(cold, cold[:1].expand_as(cold), rtol=0, atol=1e-12)


def test_half_precision_keeps_the_flow_in_float32() -> None:
    network = shaken(small("nanoflow", hidden=8), 0.02).float()
    x = images(2).float()
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = network(x)
    assert mixed.log_determinant.dtype == mixed.log_prior.dtype == mixed.noise[0].dtype == torch.float32
    bpd = network.bits_per_dimension(exact)
    torch.testing.assert_close(network.bits_per_dimension(mixed), bpd, rtol=0, atol=1e-2)

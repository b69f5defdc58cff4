"""HiFi-GAN in numbers: counts, costs and reach, against what the networks really do."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from namexp.architectures.hifigan import GeneratorSpec, check_generator, thinned, thinned_groups
from namexp.errors import UserError
from namexp.models.hifigan import Generator

DILATIONS = ((1, 3, 5),) * 3
V1 = GeneratorSpec(80, (8, 8, 2, 2), (16, 16, 4, 4), 512, "1", (3, 7, 11), DILATIONS)
V3 = GeneratorSpec(80, (8, 8, 4), (16, 16, 8), 256, "2", (3, 5, 7), ((1, 2), (2, 6), (3, 12)))
ODD = GeneratorSpec(5, (3, 2), (7, 4), 4, "1", (3, 5), ((1, 4), (2,)))
CASES = {
    "V1": (V1, 13926017, 13936130, 1199.424, 256),
    "V2": (replace(V1, upsample_initial_channel=128), 925985, 928514, 75.216, 256),
    "V3": (V3, 1462273, 1464322, 87.824, 256),
    "tiny": (replace(V3, upsample_initial_channel=32), 38753, 39010, 1.458, 256),
}


@pytest.mark.parametrize("name", CASES)
def test_parameters_and_costs_are_those_of_the_paper(name: str) -> None:
    spec, plain, normed, kilo_macs, hop = CASES[name]
    assert (spec.num_parameters, spec.num_parameters_training, spec.hop_length) == (plain, normed, hop)
    assert spec.macs_per_frame / hop == pytest.approx(1000 * kilo_macs, rel=1e-6)


@pytest.mark.parametrize("spec", [replace(V1, upsample_initial_channel=16), CASES["tiny"][0], ODD])
def test_a_frame_reaches_as_far_as_it_is_said_to(spec: GeneratorSpec) -> None:
    """By gradients, in float64 with positive weights, so that nothing cancels or is cut off."""
    generator = Generator(spec, normed=False).double()
    for parameter in generator.parameters():
        torch.nn.init.constant_(parameter, 0.01)
    F = 2 * spec.context_frames + 5
    mel = torch.ones(1, spec.n_mels, F, dtype=torch.float64, requires_grad=True)
    middle = F // 2
    audio = generator(mel)[0, 0, middle * spec.hop_length : (middle + 1) * spec.hop_length]
    (gradient,) = torch.autograd.grad(audio.sum(), mel)
    reached = torch.nonzero(gradient[0].abs().sum(dim=0)).flatten()
    assert max(middle - int(reached[0]), int(reached[-1]) - middle) == spec.context_frames


def test_the_counts_are_those_of_the_networks() -> None:
    for spec in (CASES["tiny"][0], ODD):
        for normed, expected in ((True, spec.num_parameters_training), (False, spec.num_parameters)):
            generator = Generator(spec, normed=normed)
            assert sum(p.numel() for p in generator.parameters()) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"upsample_kernel_sizes": (16, 16, 4)}, "must have as many entries as model.upsample_rates"),
        ({"upsample_kernel_sizes": (16, 15, 4, 4)}, "differ from it by an even number, such as 16"),
        ({"upsample_kernel_sizes": (16, 6, 4, 4)}, "6 must be at least its rate 8"),
        ({"resblock_kernel_sizes": (3, 7, 10)}, "10 must be odd"),
        ({"resblock_dilation_sizes": ((1,), (1,))}, "must have as many entries as model.resblock_kernel"),
        ({"upsample_initial_channel": 40}, "must be a multiple of 16"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], expected: str) -> None:
    with pytest.raises(UserError, match="model") as error:
        check_generator(replace(V1, **changes), "model")
    assert expected in str(error.value)


def test_thinning() -> None:
    assert [thinned(c, 16) for c in (32, 128, 1024, 8)] == [2, 8, 64, 1]
    assert thinned_groups(16, 8, 12) == 4
    assert thinned_groups(16, 7, 8) == 1

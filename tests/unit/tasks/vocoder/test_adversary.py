"""The adversarial step: it is the official one, and every gradient goes where it should and nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from namexp.architectures.hifigan import GeneratorSpec
from namexp.losses.adversarial import discriminator_loss, feature_loss, generator_loss
from namexp.models.hifigan import Discriminator, HiFiGAN, Judgement
from namexp.tasks.vocoder.adversary import Report, discriminator_losses, generator_gradient, judge

SPEC = GeneratorSpec(80, (8, 4), (16, 8), 16, "2", (3, 5), ((1, 2), (2, 6)))
NAMES = {
    f"{name}_{side}{what}"
    for side in ("mpd", "msd")
    for name, what in (
        ("loss_disc", ""),
        ("loss_gen", ""),
        ("loss_fm", ""),
        ("mean", "_on_real"),
        ("mean", "_on_fake"),
    )
}

DStep = Callable[[HiFiGAN, Tensor, Tensor, Report], Iterator[Tensor]]
GStep = Callable[[HiFiGAN, Tensor, Tensor, Report], Tensor]


@pytest.fixture
def gan() -> HiFiGAN:
    return HiFiGAN(SPEC, width=32)


def _batch(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Mels, and recordings as long as what is generated from them."""
    return torch.randn(2, 80, 40, dtype=dtype), 0.3 * torch.randn(2, 1, 40 * SPEC.hop_length, dtype=dtype)


# --- the official formulation, as one graph -------------------------------------------------------------


def _judged(gan: HiFiGAN, real: Tensor, fake: Tensor) -> dict[str, list[tuple[Judgement, Judgement]]]:
    """Of every sub-discriminator, real and then fake."""
    return {
        side: [
            (discriminator(all_.heard(real, i)), discriminator(all_.heard(fake, i)))
            for i, discriminator in enumerate(all_.discriminators)
        ]
        for side, all_ in (("mpd", gan.mpd), ("msd", gan.msd))
    }


def _official_discriminator_loss(gan: HiFiGAN, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    found = {}
    for side, pairs in _judged(gan, real, fake.detach()).items():
        found[f"loss_disc_{side}"] = sum(discriminator_loss(r.score, f.score) for r, f in pairs)
        for i, what in enumerate(("real", "fake")):
            found[f"mean_{side}_on_{what}"] = sum(pair[i].score.mean() for pair in pairs) / len(pairs)
    return found


def _official_generator_loss(gan: HiFiGAN, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    found = {}
    for side, pairs in _judged(gan, real, fake).items():
        found[f"loss_gen_{side}"] = sum(generator_loss(f.score) for _, f in pairs)
        found[f"loss_fm_{side}"] = sum(feature_loss(r.features, f.features) for r, f in pairs)
    return found


def _taken_back(losses: Iterator[Tensor]) -> None:
    for loss in losses:
        loss.backward()


def test_two_steps_are_those_of_the_official_graph(gan: HiFiGAN) -> None:
    gan = gan.double()
    other = copy.deepcopy(gan)
    for _ in range(2):
        mel, real = _batch(torch.float64)
        report, fake = Report(), gan.generator(mel)
        _taken_back(discriminator_losses(gan, real, fake, report))
        _update(gan.discriminator_parameters())
        gradient = generator_gradient(gan, real, fake, report)
        (fake * gradient).sum().backward()
        _update(gan.generator.parameters())

        fake = other.generator(mel)
        expected = _official_discriminator_loss(other, real, fake)
        (expected["loss_disc_mpd"] + expected["loss_disc_msd"]).backward()
        _update(other.discriminator_parameters())
        expected |= _official_generator_loss(other, real, fake)
        total = sum(expected[f"loss_gen_{side}"] + 2 * expected[f"loss_fm_{side}"] for side in ("mpd", "msd"))
        total.backward()
        _update(other.generator.parameters())
        other.zero_grad(set_to_none=True)

        assert report.values.keys() == expected.keys() == NAMES
        for name, value in expected.items():
            torch.testing.assert_close(report.values[name], value.detach(), rtol=1e-11, atol=1e-14)
    for (name, ours), theirs in zip(gan.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(
            ours, theirs, rtol=1e-9, atol=1e-13, msg=lambda m, name=name: f"{name}: {m}"
        )


@torch.no_grad()
def _update(parameters: Iterator[torch.nn.Parameter] | list[torch.nn.Parameter], rate: float = 0.01) -> None:
    for parameter in parameters:
        assert parameter.grad is not None
        parameter -= rate * parameter.grad
        parameter.grad = None


def test_weights_of_the_terms(gan: HiFiGAN) -> None:
    gan = gan.double().eval()
    mel, real = _batch(torch.float64)
    fake = gan.generator(mel)

    def gradient(adversarial: float, matching: float) -> Tensor:
        return generator_gradient(
            gan, real, fake, Report(), adversarial_weight=adversarial, feature_matching_weight=matching
        )

    both = gradient(3.0, 5.0)
    torch.testing.assert_close(both, 3 * gradient(1.0, 0.0) + 5 * gradient(0.0, 1.0), rtol=1e-9, atol=1e-16)
    torch.testing.assert_close(generator_gradient(gan, real, fake, Report()), gradient(1.0, 2.0))
    assert (gradient(1.0, 0.0) != 0).any()
    assert (gradient(0.0, 1.0) != 0).any()
    assert not gradient(0.0, 0.0).any()


# --- where gradients go ---------------------------------------------------------------------------------


def _faults(gan: HiFiGAN, d_step: DStep, g_step: GStep) -> list[str]:
    """What is wrong with the routing of a pair of steps."""
    gan.zero_grad(set_to_none=True)
    mel, real = _batch()
    fake = gan.generator(mel)
    for loss in d_step(gan, real, fake, Report()):
        loss.backward(retain_graph=True)
    faults = []
    if any(p.grad is not None for p in gan.generator.parameters()):
        faults.append("the discriminators' loss reaches the generator")
    if not all(p.grad is not None and p.grad.any() for p in gan.discriminator_parameters()):
        faults.append("the discriminators do not learn")
    gan.zero_grad(set_to_none=True)
    before = [p.detach().clone() for p in gan.discriminator_parameters()]
    gradient = g_step(gan, real, fake, Report())
    (fake * gradient).sum().backward()
    if not all(p.grad is not None and p.grad.any() for p in gan.generator.parameters()):
        faults.append("the adversarial terms do not move the generator")
    if any(p.grad is not None for p in gan.discriminator_parameters()):
        faults.append("the generator's loss reaches the discriminators")
    if not all(torch.equal(a, b) for a, b in zip(before, gan.discriminator_parameters(), strict=True)):
        faults.append("the generator's step changes the discriminators")
    return faults


def _d_without_detach(gan: HiFiGAN, real: Tensor, fake: Tensor, report: Report) -> Iterator[Tensor]:
    del report
    for pairs in _judged(gan, real, fake).values():
        yield from (discriminator_loss(r.score, f.score) for r, f in pairs)


def _g_under_inference(gan: HiFiGAN, real: Tensor, fake: Tensor, report: Report) -> Tensor:
    """As in the report: the discriminators judge without a gradient."""
    with torch.inference_mode():
        judge(gan, real, fake, report)
    return torch.zeros_like(fake)


def _g_through_everything(gan: HiFiGAN, real: Tensor, fake: Tensor, report: Report) -> Tensor:
    del report
    leaf = fake.detach().requires_grad_()
    sum(_official_generator_loss(gan, real, leaf).values()).backward()
    assert leaf.grad is not None
    return leaf.grad


def _adversarial_term_alone(gan: HiFiGAN, real: Tensor, fake: Tensor, report: Report) -> Tensor:
    return generator_gradient(gan, real, fake, report, feature_matching_weight=0.0)


def test_every_gradient_goes_where_it_should(gan: HiFiGAN) -> None:
    assert _faults(gan, discriminator_losses, generator_gradient) == []
    assert _faults(gan, discriminator_losses, _adversarial_term_alone) == []


def test_broken_steps_are_caught(gan: HiFiGAN) -> None:
    """Those of the report, whose generator never learned from its adversaries; and the official waste."""
    assert _faults(gan, _d_without_detach, _g_under_inference) == [
        "the discriminators' loss reaches the generator",
        "the adversarial terms do not move the generator",
    ]
    assert _faults(gan, discriminator_losses, _g_through_everything) == [
        "the generator's loss reaches the discriminators"
    ]


def test_a_step_of_the_generator_raises_its_scores(gan: HiFiGAN) -> None:
    gan.double()
    mel, real = _batch(torch.float64)
    for _ in range(20):  # until the spectral norm is near what it estimates
        gan.msd.discriminators[0](real)
    gan.eval()
    scores = []
    for _ in range(5):
        report, fake = Report(), gan.generator(mel)
        gradient = generator_gradient(gan, real, fake, report, feature_matching_weight=0.0)
        (fake * gradient).sum().backward()
        _update(gan.generator.parameters(), rate=1.0)
        scores.append(float(report.values["loss_gen_mpd"] + report.values["loss_gen_msd"]))
    assert scores == sorted(scores, reverse=True)
    assert scores[0] - scores[-1] > 1e-5


# --- what is held, what is changed ----------------------------------------------------------------------


def test_only_one_discriminators_maps_are_held(gan: HiFiGAN) -> None:
    """Every loss is the only one that is alive, and the next discriminator works when it is asked for."""
    called: list[Discriminator] = []
    for side in (gan.mpd, gan.msd):
        for discriminator in side.discriminators:
            discriminator.register_forward_hook(lambda module, *_: called.append(module))
    mel, real = _batch()
    losses = discriminator_losses(gan, real, gan.generator(mel), Report())
    for done in range(8):
        next(losses).backward()
        assert len(set(called)) == done + 1


def _estimates(gan: HiFiGAN) -> list[Tensor]:
    return [b.clone() for name, b in gan.named_buffers() if name.endswith("weight_u")]


def test_the_spectral_norm_moves_four_times_a_step_and_rests_in_evaluation(gan: HiFiGAN) -> None:
    first = gan.msd.discriminators[0]
    assert isinstance(first, Discriminator)
    mel, real = _batch()
    fake = gan.generator(mel)
    twin = copy.deepcopy(gan)
    _taken_back(discriminator_losses(gan, real, fake, Report()))
    generator_gradient(gan, real, fake, Report())
    for _ in range(4):
        twin.msd.discriminators[0](real)
    for ours, theirs in zip(_estimates(gan), _estimates(twin), strict=True):
        assert torch.equal(ours, theirs)
    gan.eval()
    judge(gan, real, fake, Report())
    for ours, theirs in zip(_estimates(gan), _estimates(twin), strict=True):
        assert torch.equal(ours, theirs)


def test_looking_on_finds_the_same_without_gradients(gan: HiFiGAN) -> None:
    gan.double().eval()
    mel, real = _batch(torch.float64)
    fake = gan.generator(mel)
    seen, trained = Report(), Report()
    judge(gan, real, fake, seen)
    _taken_back(discriminator_losses(gan, real, fake, trained))
    generator_gradient(gan, real, fake, trained)
    assert seen.values.keys() == trained.values.keys() == NAMES
    for name, value in seen.values.items():
        assert not value.requires_grad
        torch.testing.assert_close(value, trained.values[name], rtol=1e-11, atol=1e-14)

"""The adversaries' losses: values, and what they ask for."""

from __future__ import annotations

import pytest
import torch

from namexp.losses.adversarial import discriminator_loss, feature_loss, generator_loss


def test_the_values() -> None:
    real, fake = torch.tensor([[1.0, 0.5], [0.0, 2.0]]), torch.tensor([[0.0, 1.0], [-1.0, 0.5]])
    assert discriminator_loss(real, fake) == (0 + 0.25 + 1 + 1) / 4 + (0 + 1 + 1 + 0.25) / 4
    assert generator_loss(fake) == (1 + 0 + 4 + 0.25) / 4
    maps = [torch.tensor([[1.0, 2.0]]), torch.tensor([[[0.0, 3.0, 1.0]]])]
    others = [torch.tensor([[0.0, 4.0]]), torch.tensor([[[1.0, 3.0, -1.0]]])]
    assert feature_loss(maps, others) == 1.5 + 1.0


def test_perfect_judges_and_perfect_fakes_cost_nothing() -> None:
    ones, zeros = torch.ones(2, 3), torch.zeros(2, 3)
    assert discriminator_loss(ones, zeros) == 0
    assert generator_loss(ones) == 0
    assert discriminator_loss(zeros, ones) == 2
    assert feature_loss([ones, zeros], [ones, zeros]) == 0


def test_the_two_sides_pull_scores_of_generated_audio_apart() -> None:
    score = torch.full((1, 4), 0.5, requires_grad=True)
    (judges,) = torch.autograd.grad(discriminator_loss(torch.ones(1, 4), score), score)
    (generator,) = torch.autograd.grad(generator_loss(score), score)
    assert torch.equal(judges, torch.full((1, 4), 0.25))
    assert torch.equal(generator, -judges)


def test_maps_that_differ_in_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"real \[\(2, 3\)\] and fake \[\(1, 3\)\]"):
        feature_loss([torch.zeros(2, 3)], [torch.zeros(1, 3)])  # broadcasting would hide it
    with pytest.raises(ValueError, match="equal shapes"):
        feature_loss([torch.zeros(2, 3)], [torch.zeros(2, 3)] * 2)


def test_low_precision_is_summed_in_float32() -> None:
    scores = torch.rand(4, 1000, dtype=torch.bfloat16)
    loss = generator_loss(scores)
    assert loss.dtype == torch.float32
    assert loss == pytest.approx(float((1 - scores).square().double().mean()), rel=1e-6)
    assert generator_loss(scores.double()).dtype == torch.float64

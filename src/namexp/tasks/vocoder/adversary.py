"""Both sides of the adversarial step, one sub-discriminator at a time.

The losses and gradients are those of the official step; what it computes and throws away is left out:
the backward through the real branch and into the discriminators' weights while the generator learns.
At no time are the maps of more than one sub-discriminator held.
Letters: B batch, L samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from namexp.losses.adversarial import discriminator_loss, feature_loss, generator_loss, mean
from namexp.models.hifigan import Discriminator, HiFiGAN, MultiPeriodDiscriminator, MultiScaleDiscriminator


class Report:
    """What the parts of the losses came to, on their device: no value is waited for.

    ``loss_disc_*``, ``loss_gen_*`` and ``loss_fm_*`` (without its weight) are sums over the
    sub-discriminators, ``mean_*_on_real`` and ``mean_*_on_fake`` the mean of their mean scores.
    """

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor) -> None:
        """To what ``name`` is so far."""
        value = value.detach()
        self.values[name] = self.values[name] + value if name in self.values else value

    def add_scores(self, side: _Side, real: Tensor, fake: Tensor) -> None:
        """The mean scores of one sub-discriminator."""
        for what, score in (("real", real), ("fake", fake)):
            self.add(f"mean_{side.name}_on_{what}", mean(score.detach()) / side.num_discriminators)


class _Side(NamedTuple):
    """The discriminators of one kind, by their name in the report."""

    name: str
    all: MultiPeriodDiscriminator | MultiScaleDiscriminator

    @property
    def num_discriminators(self) -> int:
        return len(self.all.discriminators)

    def each(self) -> Iterator[tuple[int, Discriminator]]:
        for index, discriminator in enumerate(self.all.discriminators):
            assert isinstance(discriminator, Discriminator)
            yield index, discriminator


def _sides(gan: HiFiGAN) -> tuple[_Side, ...]:
    """Scales first: their maps are the largest, and in the first passes few gradients lie beside them."""
    return _Side("msd", gan.msd), _Side("mpd", gan.mpd)


# --- the discriminators' turn ---------------------------------------------------------------------------


def discriminator_losses(gan: HiFiGAN, real: Tensor, fake: Tensor, report: Report) -> Iterator[Tensor]:
    """The loss of each sub-discriminator; all of them summed are the discriminators' loss.

    Each is to be taken backward before the next is asked for: then its maps are gone by then.

    Args:
        gan: its discriminators are judged; no gradient reaches its generator.
        real: (B, 1, L) recorded.
        fake: (B, 1, L) generated.
        report: gets ``loss_disc_*`` and ``mean_*``.
    """
    fake = fake.detach()
    for side in _sides(gan):
        for index, discriminator in side.each():
            scores = _scores(discriminator, side.all.heard(real, index), side.all.heard(fake, index))
            loss = discriminator_loss(*scores)
            report.add_scores(side, *scores)
            report.add(f"loss_disc_{side.name}", loss)
            del scores
            yield loss
            del loss


def _scores(discriminator: Discriminator, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    if discriminator.depends_on_its_calls:
        return discriminator(real).score, discriminator(fake).score
    both = discriminator(torch.cat([real, fake])).score
    return both[: len(real)], both[len(real) :]


# --- the generator's turn -------------------------------------------------------------------------------


def generator_gradient(
    gan: HiFiGAN,
    real: Tensor,
    fake: Tensor,
    report: Report,
    *,
    adversarial_weight: float = 1.0,
    feature_matching_weight: float = 2.0,
) -> Tensor:
    """The gradient of the adversarial and the feature matching loss with respect to the generated audio.

    ``(fake * gradient).sum()`` has the same gradient as those losses have in the generator. Nothing is
    computed for the discriminators' parameters.

    Args:
        gan: its discriminators judge, with their weights as they are now.
        real: (B, 1, L) recorded.
        fake: (B, 1, L) generated.
        report: gets ``loss_gen_*`` and ``loss_fm_*``, without their weights.
        adversarial_weight: of the adversarial loss.
        feature_matching_weight: of the feature matching loss; the official 2 by default.

    Returns:
        (B, 1, L).
    """
    gradient = torch.zeros_like(
        fake, dtype=torch.promote_types(fake.dtype, torch.float32), requires_grad=False
    )
    leaf = fake.detach().requires_grad_()
    for side in _sides(gan):
        for index, discriminator in side.each():
            adversarial, matching = _generator_losses(
                discriminator, side.all.heard(real, index), side.all.heard(leaf, index)
            )
            report.add(f"loss_gen_{side.name}", adversarial)
            report.add(f"loss_fm_{side.name}", matching)
            loss = adversarial_weight * adversarial + feature_matching_weight * matching
            gradient += torch.autograd.grad(loss, leaf)[0]
            del adversarial, matching, loss
    return gradient


def _generator_losses(discriminator: Discriminator, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    weights = discriminator.frozen_weights()
    with torch.no_grad():
        maps = discriminator(real, weights).features
    if discriminator.depends_on_its_calls:
        weights = discriminator.frozen_weights()
    judged = discriminator(fake, weights)
    return generator_loss(judged.score), feature_loss(maps, judged.features)


# --- looking on -----------------------------------------------------------------------------------------


@torch.no_grad()
def judge(gan: HiFiGAN, real: Tensor, fake: Tensor, report: Report) -> None:
    """Both sides' losses without a gradient, into ``report``; (B, 1, L) each.

    Discriminators in evaluation mode stay as they are.
    """
    for side in _sides(gan):
        for index, discriminator in side.each():
            weights = discriminator.frozen_weights()
            on_real = discriminator(side.all.heard(real, index), weights)
            on_fake = discriminator(side.all.heard(fake, index), weights)
            report.add_scores(side, on_real.score, on_fake.score)
            report.add(f"loss_disc_{side.name}", discriminator_loss(on_real.score, on_fake.score))
            report.add(f"loss_gen_{side.name}", generator_loss(on_fake.score))
            report.add(f"loss_fm_{side.name}", feature_loss(on_real.features, on_fake.features))

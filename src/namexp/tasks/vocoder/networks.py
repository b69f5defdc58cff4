"""All that a training of a vocoder keeps: the networks, and what it has seen."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from namexp.models.hifigan import HiFiGAN, MultiPeriodDiscriminator, MultiScaleDiscriminator
from namexp.models.hifigan.generator import Init
from namexp.tasks.vocoder.config.model import HifiganModel
from namexp.tasks.vocoder.statistics import MelStatistics


class VocoderNetwork(nn.Module):
    """HiFi-GAN and its input's statistics.

    Attributes:
        model: what it is built from.
        gan: generator and discriminators.
        statistics: of the mels that were learned from.
        new_discriminators: whether they were drawn from the seed beside a generator that was not.
    """

    new_discriminators: Tensor

    def __init__(self, model: HifiganModel) -> None:
        super().__init__()
        self.model = model
        init: Init = "normal" if model.init == "normal" else "default"
        self.gan = HiFiGAN(model.generator, width=model.discriminator_width, init=init)
        self.statistics = MelStatistics(model.generator.n_mels)
        self.register_buffer("new_discriminators", torch.zeros((), dtype=torch.bool))


def build_network(model: HifiganModel, *, seed: int) -> VocoderNetwork:
    """Build what ``model`` describes; the same seed gives the same weights.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return VocoderNetwork(model)


def discriminator_parameters(model: HifiganModel) -> dict[str, int]:
    """How many numbers each kind of discriminator has, with its norms; nothing is drawn or kept."""
    with torch.device("meta"):
        parts = {
            "mpd": MultiPeriodDiscriminator(width=model.discriminator_width),
            "msd": MultiScaleDiscriminator(width=model.discriminator_width),
        }
    return {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}

"""HiFi-GAN: the generator and its discriminators, with the official names of all weights."""

from namexp.models.hifigan.discriminator import Discriminator, Judgement
from namexp.models.hifigan.gan import HiFiGAN
from namexp.models.hifigan.generator import Generator, MultiReceptiveFieldFusion, ResBlockV1, ResBlockV2
from namexp.models.hifigan.period import DiscriminatorP, MultiPeriodDiscriminator
from namexp.models.hifigan.scale import DiscriminatorS, MultiScaleDiscriminator

__all__ = [
    "Discriminator", "DiscriminatorP", "DiscriminatorS", "Generator", "HiFiGAN", "Judgement",
    "MultiPeriodDiscriminator", "MultiReceptiveFieldFusion", "MultiScaleDiscriminator", "ResBlockV1",
    "ResBlockV2",
]  # fmt: skip

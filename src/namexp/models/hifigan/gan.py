"""All that is trained."""

from __future__ import annotations

from torch import nn

from namexp.architectures.hifigan import GeneratorSpec
from namexp.models.hifigan.generator import Generator, Init
from namexp.models.hifigan.period import MultiPeriodDiscriminator
from namexp.models.hifigan.scale import MultiScaleDiscriminator


class HiFiGAN(nn.Module):
    """The generator and its adversaries. The order of construction is the official one, for one seed."""

    def __init__(self, spec: GeneratorSpec, *, width: int = 1, init: Init = "default") -> None:
        """``width`` divides the discriminators' channels."""
        super().__init__()
        self.generator = Generator(spec, init=init)
        self.mpd = MultiPeriodDiscriminator(width=width)
        self.msd = MultiScaleDiscriminator(width=width)

    def discriminator_parameters(self) -> list[nn.Parameter]:
        """Of both, in the order of the official optimiser's state: scales, then periods."""
        return [*self.msd.parameters(), *self.mpd.parameters()]

"""A density of images: levels of steps, a prior for what each level lets go.

Source: Kingma and Dhariwal 2018, arXiv:1807.03039; Lee et al. 2020, arXiv:2006.06280.
Letters: B batch, C channels, S height and width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from namexp.architectures.glow import LEVELS_OF_GREY, PRIOR_KERNEL, GlowSpec, Level
from namexp.models.glow.layers import ActNorm, ZeroedConvolution, halves, interleaved, squeeze, unsqueeze
from namexp.models.glow.step import Parts, Step

LOG_2PI = math.log(2 * math.pi)


class Encoded(NamedTuple):
    """What images become.

    Attributes:
        noise: (B, C, S, S) of each level, unit normal if the density is right.
        log_determinant: (B,) of the flow.
        log_prior: (B,) of what each level lets go, in nats.
    """

    noise: tuple[Tensor, ...]
    log_determinant: Tensor
    log_prior: Tensor


class Prior(nn.Module):
    """A normal whose mean and log standard deviation follow from what a level keeps.

    The last level keeps nothing: its convolution looks at zeros, as in the official code, so that only its
    biases and scales have a say.
    """

    def __init__(self, level: Level, *, last: bool) -> None:
        super().__init__()
        self.last = last
        inputs, outputs = level.channels // 2, level.channels
        if last:
            inputs, outputs = 2 * level.channels, 2 * level.channels
        self.conv = ZeroedConvolution(inputs, outputs, PRIOR_KERNEL)

    def forward(self, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation.

        Args:
            kept: (B, C / 2, S, S); of the last level (B, C, S, S), of which the size alone counts.
        """
        if not self.last:
            return interleaved(self.conv(kept).to(kept.dtype))
        channels, height, width = kept.shape[1:]
        return halves(self.conv(kept.new_zeros(1, 2 * channels, height, width)).to(kept.dtype))


class LevelFlow(nn.Module):
    """Squeeze, the steps, and what they share."""

    def __init__(self, spec: GlowSpec, level: Level, *, last: bool) -> None:
        super().__init__()
        self.last = last
        self.shared = Parts(spec, level, shared=True)
        self.steps = nn.ModuleList(Step(spec, level) for _ in range(spec.steps))
        self.prior = Prior(level, last=last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(B, C / 4, 2 S, 2 S) to what goes on, the noise, and (B,) log-determinants and log priors."""
        z, log_determinant = squeeze(x), x.new_zeros(len(x))
        for step in self.steps:
            z, more = step(z, self.shared)
            log_determinant = log_determinant + more
        kept, released = (z, z) if self.last else halves(z)
        mean, log_std = self.prior(kept)
        noise = (released - mean) * torch.exp(-log_std)
        log_prior = (-0.5 * (noise.square() + LOG_2PI) - log_std).sum(dim=(1, 2, 3))
        return kept, noise, log_determinant, log_prior

    def inverse(self, kept: Tensor, noise: Tensor) -> Tensor:
        """Back; of the last level ``kept`` has the size of ``noise`` and is not looked at."""
        mean, log_std = self.prior(kept)
        released = mean + noise * torch.exp(log_std)
        z = released if self.last else torch.cat((kept, released), dim=1)
        for step in reversed(self.steps):
            assert isinstance(step, Step)
            z = step.inverse(z, self.shared)
        return unsqueeze(z)


class Glow(nn.Module):
    """From images in [-0.5, 0.5) to noise and back.

    Attributes:
        spec: in numbers.
        initialised: whether a batch of images has set the actnorms, or weights were loaded that have them.
    """

    initialised: Tensor

    def __init__(self, spec: GlowSpec) -> None:
        super().__init__()
        self.spec = spec
        last = spec.levels - 1
        self.levels = nn.ModuleList(
            LevelFlow(spec, level, last=i == last) for i, level in enumerate(spec.shapes)
        )
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool))

    def forward(self, x: Tensor) -> Encoded:
        """(B, 3, S, S), dequantised."""
        noises, determinants, priors = list[Tensor](), list[Tensor](), list[Tensor]()
        for level in self.levels:
            x, noise, log_determinant, log_prior = level(x)
            noises.append(noise)
            determinants.append(log_determinant)
            priors.append(log_prior)
        return Encoded(tuple(noises), torch.stack(determinants).sum(dim=0), torch.stack(priors).sum(dim=0))

    @torch.no_grad()
    def initialise(self, x: Tensor) -> None:
        """Let (B, 3, S, S) images set every actnorm, that of what steps share by the first of them."""
        norms = [module for module in self.modules() if isinstance(module, ActNorm)]
        for norm in norms:
            norm.pending = True
        self(x)
        assert not any(norm.pending for norm in norms), "each has been reached"
        self.initialised.fill_(True)

    def bits_per_dimension(self, encoded: Encoded) -> Tensor:
        """(B,) what an image of 8 bit costs: its density in cells of 1/256."""
        nats = encoded.log_determinant + encoded.log_prior
        return self.in_bits(math.log(LEVELS_OF_GREY) * self.spec.num_dimensions - nats)

    def in_bits(self, nats: Tensor) -> Tensor:
        """Nats of an image in bits of a dimension."""
        return nats / (math.log(2.0) * self.spec.num_dimensions)

    @torch.no_grad()
    def inverse(self, noise: Sequence[Tensor]) -> Tensor:
        """Noise of every level to (B, 3, S, S)."""
        x = noise[-1]
        for level, own in zip(reversed(self.levels), reversed(noise), strict=True):
            assert isinstance(level, LevelFlow)
            x = level.inverse(x, own)
        return x

    def draw_noise(self, count: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Of ``count`` images, drawn on the CPU: the same wherever the network is."""
        like = next(self.parameters())
        shapes = [(count, *shape) for shape in self.noise_shapes]
        return tuple(
            torch.randn(shape, generator=generator, dtype=torch.float64).to(like) for shape in shapes
        )

    @property
    def noise_shapes(self) -> tuple[tuple[int, int, int], ...]:
        """(C, S, S) of what each level lets go."""
        *others, last = self.spec.shapes
        released = [(level.channels // 2, level.size, level.size) for level in others]
        return (*released, (last.channels, last.size, last.size))

    def sample(self, count: int, *, temperature: float, generator: torch.Generator) -> Tensor:
        """(count, 3, S, S) images.

        Args:
            count: of them.
            temperature: of the noise's standard deviation; 0: the most likely of every prior.
            generator: of the CPU.
        """
        assert temperature >= 0, f"temperature (= {temperature}) must be at least 0"
        noise = self.draw_noise(count, generator)
        return self.inverse([temperature * part for part in noise])

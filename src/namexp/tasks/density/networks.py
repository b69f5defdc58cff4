"""The network of a density, and batches of images through it.

Letters: B batch, S height and width.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

from namexp.architectures.glow import GlowSpec
from namexp.models.glow import Glow


class Bits(NamedTuple):
    """Of images, (B,) each, in bits per dimension: what they cost, and two parts of it."""

    bpd: Tensor
    log_determinant: Tensor
    log_prior: Tensor

    @classmethod
    def of(cls, network: Glow, images: Tensor) -> Bits:
        """Of (B, 3, S, S) dequantised images."""
        encoded = network(images)
        return cls(
            network.bits_per_dimension(encoded),
            network.in_bits(encoded.log_determinant),
            network.in_bits(encoded.log_prior),
        )


def build_network(spec: GlowSpec, *, seed: int) -> Glow:
    """Build what ``spec`` describes; the same seed gives the same weights.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Glow(spec)


@torch.no_grad()
def bits_of(network: Glow, batches: Iterable[Tensor]) -> Tensor:
    """(N,) float64 bits per dimension of all images of the batches, in the network's own precision."""
    like = next(network.parameters())
    return torch.cat([Bits.of(network, batch.to(like)).bpd.double().cpu() for batch in batches])

"""What all discriminators share: convolutions, activations, and the maps between them.

Letters: B batch, L samples, N scores of a clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from namexp.models.hifigan.convolutions import Convolution, Weights

SLOPE = 0.1


class Judgement(NamedTuple):
    """What a discriminator makes of audio.

    Attributes:
        score: (B, N), 1: real, 0: generated.
        features: the map after every activation, and the scores as the last convolution gives them.
    """

    score: Tensor
    features: list[Tensor]


class Discriminator(nn.Module):
    """Convolutions with a leaky ReLU after each, and one that gives the scores."""

    def __init__(self, convs: Sequence[Convolution], conv_post: Convolution) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.conv_post = conv_post

    @property
    def depends_on_its_calls(self) -> bool:
        """Whether every call in training changes it: then clips cannot be judged together."""
        return self.conv_post.norm == "spectral"

    def weights(self) -> list[Weights]:
        """Of all convolutions, norms applied; a call in the sense of ``depends_on_its_calls``."""
        return [conv.effective() for conv in self._convolutions()]

    @torch.no_grad()
    def frozen_weights(self) -> list[Weights]:
        """The same without gradients."""
        return [Weights(weight.detach(), bias.detach()) for weight, bias in self.weights()]

    def forward(self, audio: Tensor, weights: Sequence[Weights] | None = None) -> Judgement:
        """Judge (B, 1, L), by ``weights`` if they are there already."""
        *hidden, last = self.weights() if weights is None else weights
        x, features = self.laid_out(audio), []
        for conv, by in zip(self.convs, hidden, strict=True):
            # in place: the map is stored once, as input of the next convolution
            x = F.leaky_relu_(conv(x, by), SLOPE)
            features.append(x)
        x = self.conv_post(x, last)
        features.append(x)
        return Judgement(x.flatten(1), features)

    def laid_out(self, audio: Tensor) -> Tensor:
        """(B, 1, L) as the first convolution takes it."""
        return audio

    def _convolutions(self) -> list[Convolution]:
        return [*(conv for conv in self.convs if isinstance(conv, Convolution)), self.conv_post]

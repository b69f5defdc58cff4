"""How likely whole clips are, as the official evaluation measures it.

Letters: B batch, T samples.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from namexp.audio.mel import log_mel
from namexp.audio.mel_scale import MelSpec
from namexp.models.waveflow import WaveFlow, negative_log_likelihood, prior_part


class Likelihood(NamedTuple):
    """Of one clip, in nats a sample.

    Attributes:
        ll: log-likelihood, with noise of standard deviation 1.
        prior: what the noise costs of it.
        logdet: what the log-determinant adds.
    """

    ll: float
    prior: float
    logdet: float


def whole_length(num_samples: int, model: WaveFlow) -> int:
    """Of a clip: its longest beginning of whole hops and whole columns."""
    unit = math.lcm(model.spec.hop_length, model.spec.n_height)
    return num_samples // unit * unit


def clip_likelihood(model: WaveFlow, audio: Tensor, mel: MelSpec) -> Likelihood:
    """Of (T,) samples, cut to a whole length, given their own mel; in full precision.

    Args:
        model: wherever it lies.
        audio: a clip of at least one whole length.
        mel: of the conditioner.
    """
    return clip_latent(model, audio, mel)[1]


@torch.no_grad()
def clip_latent(model: WaveFlow, audio: Tensor, mel: MelSpec) -> tuple[Tensor, Likelihood]:
    """The (h, W) noise that a flow makes of (T,) samples, and how likely they are; as ``clip_likelihood``."""
    audio = audio[: whole_length(audio.numel(), model)][None]
    with torch.autocast(audio.device.type, enabled=False):
        z, logdet = model(audio, log_mel(audio, mel).to(audio.dtype))
        found = Likelihood(
            ll=-float(negative_log_likelihood(z, logdet)),
            prior=-float(prior_part(z)),
            logdet=float(logdet) / audio.numel(),
        )
    return z[0, 0], found

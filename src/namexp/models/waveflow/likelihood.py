"""How likely audio is under a flow.

Letters: B batch, h rows, W columns.
"""

from __future__ import annotations

import math

from torch import Tensor

from namexp.models.waveflow.estimator import full


def negative_log_likelihood(z: Tensor, logdet: Tensor, *, sigma: float = 1.0) -> Tensor:
    """Nats a sample, natural logarithm: with sigma 1, its negative is the LL that papers report.

    Args:
        z: (B, 1, h, W), white noise of standard deviation ``sigma`` if the model is right.
        logdet: of the whole batch.
        sigma: positive.
    """
    return prior_part(z, sigma=sigma) - full(logdet) / z.numel()


def prior_part(z: Tensor, *, sigma: float = 1.0) -> Tensor:
    """Of it, what ``z`` itself costs: the rest is the log-determinant's."""
    constant = 0.5 * math.log(2 * math.pi) + math.log(sigma)
    return constant + full(z).square().mean() / (2 * sigma**2)

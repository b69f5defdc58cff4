"""The training loss of a capture: weighted terms for each submodel, summed.

Letters: B batch, S submodels, L samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from namexp.losses import parts, waveform
from namexp.losses.parts import Parts
from namexp.losses.spectral import Mrstft
from namexp.losses.waveform import pre_emphasis
from namexp.ranks.shared import total, world_size
from namexp.tasks.capture.config.loss import LossConfig

OfBatch = Callable[[Tensor, Tensor], Tensor]  # (B, S, L) and (B, L) to (S,)


class Term(NamedTuple):
    """One term of the loss.

    Attributes:
        weight: what it is multiplied by.
        of_batch: prediction (B, S, L) and target (B, L) to its (S,) values.
        in_parts: the same, for a batch whose windows lie on several processes.
    """

    weight: float
    of_batch: OfBatch
    in_parts: Parts

    def emphasised(self, weight: float, coefficient: float) -> Term:
        """The same of pre-emphasised signals, with a weight of its own."""
        sums = _emphasised(self.in_parts.sums, coefficient)
        return Term(weight, _emphasised(self.of_batch, coefficient), self.in_parts._replace(sums=sums))


class CaptureLoss(nn.Module):
    """Sum over submodels of the sum over terms of weight times term: no term couples submodels."""

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.mrstft = Mrstft()
        mse = Term(config.mse_weight, _of_each(waveform.mse), parts.MSE)
        mrstft = Term(config.mrstft_weight, self.mrstft.of_submodels, self.mrstft.parts)
        terms = {
            "MSE": mse,
            "ESR": Term(config.esr_weight, _of_each(waveform.esr), parts.ESR),
            "DC": Term(config.dc_weight, _of_each(waveform.dc), parts.DC),
            "MRSTFT": mrstft,
            "pre-emphasised MSE": mse.emphasised(
                config.pre_emphasis_mse_weight, config.pre_emphasis_mse_coefficient
            ),
            "pre-emphasised MRSTFT": mrstft.emphasised(
                config.pre_emphasis_mrstft_weight, config.pre_emphasis_mrstft_coefficient
            ),
        }
        self.terms = {name: term for name, term in terms.items() if term.weight > 0}
        self._weights: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The terms that count, in the order of ``values``."""
        return tuple(self.terms)

    def values(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Every term of every submodel, without its weight.

        Where several processes train together, each gives its part of the batch and gets the values
        of the whole one.

        Args:
            prediction: (B, S, L).
            target: (B, L), the same for all submodels.

        Returns:
            (S, number of terms).
        """
        if world_size() > 1:
            return self.values_of_sums(total(self.sums(prediction, target)))
        return torch.stack([term.of_batch(prediction, target) for term in self.terms.values()], dim=-1)

    def sums(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, S, L) and (B, L) of one part of a batch to the (S, K) sums that add up over the parts."""
        return torch.cat([term.in_parts.sums(prediction, target) for term in self.terms.values()], dim=-1)

    def values_of_sums(self, sums: Tensor) -> Tensor:
        """(S, K) sums of all parts to the (S, number of terms) values of the whole batch."""
        in_parts = [term.in_parts for term in self.terms.values()]
        split = sums.split([term.num_sums for term in in_parts], dim=-1)
        return torch.stack([term.value(own) for term, own in zip(in_parts, split, strict=True)], dim=-1)

    def weigh(self, values: Tensor) -> Tensor:
        """(S, terms) values to the (S,) losses of the submodels."""
        # not a matrix product: under autocast that would round the loss to half precision
        return (values * self._weights_for(values)).sum(dim=-1)

    def _weights_for(self, values: Tensor) -> Tensor:
        """(terms,) the weights where ``values`` are: brought there once, a GPU would be waited for.

        Not a buffer: the weights would take part in changes of precision.
        """
        key = values.device, values.dtype
        if key not in self._weights:
            with torch.inference_mode(False):
                self._weights[key] = values.new_tensor([term.weight for term in self.terms.values()])
        return self._weights[key]

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """(B, S, L) and (B, L) to the scalar that is minimised."""
        return self.weigh(self.values(prediction, target)).sum()


def _of_each(loss: OfBatch) -> OfBatch:
    def of_each(prediction: Tensor, target: Tensor) -> Tensor:
        return torch.stack([loss(row, target) for row in prediction.unbind(dim=1)])

    return of_each


def _emphasised(term: OfBatch, coefficient: float) -> OfBatch:
    def emphasised(prediction: Tensor, target: Tensor) -> Tensor:
        return term(pre_emphasis(prediction, coefficient), pre_emphasis(target, coefficient))

    return emphasised

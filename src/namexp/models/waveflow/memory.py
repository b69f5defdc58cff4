"""The memory of a training step, counted on two short clips: it grows evenly with their length.

Letters: B batch, T samples.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from namexp.architectures.waveflow import FlowSpec
from namexp.models.waveflow.likelihood import negative_log_likelihood
from namexp.models.waveflow.model import WaveFlow

STATES = 4  # of a parameter: itself, its gradient, and the two means of Adam
BYTES = 4  # of a float32


class TrainingMemory(NamedTuple):
    """Bytes.

    Attributes:
        states: parameters, gradients and the optimiser's means.
        kept: what a forward pass keeps for the backward pass.
        recomputed: the same where every flow is computed again from its input: the inputs, and one flow's.
    """

    states: int
    kept: int
    recomputed: int

    def total(self, *, recompute: bool) -> int:
        """Of a step."""
        return self.states + (self.recomputed if recompute else self.kept)

    def to_plain(self) -> dict[str, float]:
        """In GB, as people are told."""
        return {
            "step": round(self.total(recompute=False) / 1e9, 3),
            "step with trainer.recompute": round(self.total(recompute=True) / 1e9, 3),
        }


def training_memory(spec: FlowSpec, *, batch_size: int, num_samples: int) -> TrainingMemory:
    """Of a step in float32; what convolutions and backward passes need for a moment comes on top.

    Args:
        spec: of the flow.
        batch_size: B.
        num_samples: T.
    """
    with torch.random.fork_rng(devices=[]):
        model = WaveFlow(spec)
    parameters = sum(p.numel() for p in model.parameters())
    whole = _kept(model, batch_size, num_samples)
    model.recompute = True
    inputs = _kept(model, batch_size, num_samples)
    return TrainingMemory(STATES * BYTES * parameters, whole, inputs + (whole - inputs) // spec.n_flow)


def _kept(model: WaveFlow, batch_size: int, num_samples: int) -> int:
    """Bytes that a forward pass of (B, T) keeps."""
    unit = math.lcm(model.spec.hop_length, model.spec.n_height)
    short, long = (_kept_of(model, factor * unit) for factor in (1, 2))
    of_weights = 2 * short - long
    return of_weights + round((long - short) / unit * num_samples * batch_size)


def _kept_of(model: WaveFlow, num_samples: int) -> int:
    """Bytes that the forward pass of one clip keeps, parameters left out."""
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    kept: dict[int, Tensor] = {}  # holds them, so that no two have one address

    def keep(x: Tensor) -> Tensor:
        kept.setdefault(x.untyped_storage()._cdata, x)
        return x

    def same(x: Any) -> Any:
        return x

    frames = num_samples // model.spec.hop_length
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, same):
        loss = negative_log_likelihood(
            *model(torch.zeros(1, num_samples), torch.zeros(1, model.spec.n_mels, frames))
        )
    del loss
    return sum(x.untyped_storage().nbytes() for key, x in kept.items() if key not in own)

"""From a model group to a flow with its first weights."""

from __future__ import annotations

import torch

from namexp.models.waveflow import WaveFlow
from namexp.tasks.vocoder.config.flow import FlowModel


def build_network(model: FlowModel, *, seed: int) -> WaveFlow:
    """Build what ``model`` describes; the same seed gives the same weights.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WaveFlow(model.flow)

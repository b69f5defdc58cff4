"""From a plan to a network with its first weights."""

from __future__ import annotations

import torch

from namexp.models.network import Network
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet
from namexp.tasks.capture.config.model import ModelPlan


def build_network(plan: ModelPlan, *, seed: int) -> Network:
    """Build what ``plan`` describes; the same seed gives the same weights.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if plan.kind == "packed_wavenet":
            return PackedWaveNet(plan.submodels)
        if plan.kind == "slimmable":
            return SlimmableWaveNet(
                plan.spec,
                boosting=plan.boosting,
                init_strategy=plan.init_strategy,
                size_sampling=plan.size_sampling,
                seed=seed,
            )
        return WaveNet(plan.spec)

"""From a plan to a network with its first weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from namexp.models.network import Network
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet, keep_variance
from namexp.tasks.capture.config.model import ModelPlan

Start = Callable[[WaveNet], None]
STARTS: Mapping[str, Start | None] = {"torch": None, "variance": keep_variance}


def build_network(plan: ModelPlan, *, seed: int) -> Network:
    """Build what ``plan`` describes; the same seed gives the same weights.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        start = STARTS[plan.weight_init]
        if plan.kind == "packed_wavenet":
            pack = PackedWaveNet(plan.submodels)
            return _started(pack, pack.wavenets(), start)
        if plan.kind == "slimmable":
            return SlimmableWaveNet(
                plan.spec,
                boosting=plan.boosting,
                init_strategy=plan.init_strategy,
                size_sampling=plan.size_sampling,
                seed=seed,
                start=start,
            )
        wavenet = WaveNet(plan.spec)
        return _started(wavenet, [wavenet], start)


def _started(network: Network, wavenets: Sequence[WaveNet], start: Start | None) -> Network:
    if start is not None:
        for wavenet in wavenets:
            start(wavenet)
    return network

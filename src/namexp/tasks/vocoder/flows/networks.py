"""From a model group to a flow with its first weights."""

from __future__ import annotations

import torch

from namexp.models.waveflow import WaveFlow
from namexp.models.waveflow.memory import TrainingMemory
from namexp.models.waveflow.memory import training_memory as measured
from namexp.tasks.vocoder.config.flow import FlowConfig, FlowModel


def build_network(model: FlowModel, *, seed: int) -> WaveFlow:
    """Build what ``model`` describes; the same seed gives the same weights.

    The global random state is left as it was.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return WaveFlow(model.flow)


def training_memory(config: FlowConfig) -> TrainingMemory:
    """Of a step of one process of a training."""
    return measured(
        config.model.flow,
        batch_size=config.data.batch_size // config.trainer.world_size,
        num_samples=config.data.segment_size,
    )

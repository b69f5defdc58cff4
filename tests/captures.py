"""Tasks small enough to watch."""

from __future__ import annotations

from typing import Any

from namexp.engine.module import Optimisation
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.config.whole import parse_model
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.networks import build_network


def two_submodels(dilations: list[int]) -> CaptureModule:
    """A real task of two submodels with kernels of 2."""
    return _task({"kind": "packed_wavenet", "channels": [1, 2], "submodels": None}, dilations)


def one_model() -> CaptureModule:
    """A real task of an ordinary WaveNet."""
    return _task({"kind": "wavenet", "channels": [1], "head": None, "condition_dsp": None}, [1])


def _task(model: dict[str, Any], dilations: list[int]) -> CaptureModule:
    array = {
        "kernel_sizes": 2, "dilations": dilations, "activation": "Tanh",
        "head": {"kernel_size": 1, "bias": True},
    }  # fmt: skip
    plan = parse_model({"head_scale": 0.5, "layer_arrays": [array], **model})
    return CaptureModule(
        build_network(plan, seed=0),
        Optimisation(OptimizerConfig("SGD", 0.1, 0.0, {}), SchedulerConfig(None, {}, "epoch", "val_loss")),
        loss=LossConfig(1.0, 0.0, 0.0, 0.0, 0.0, 0.85, 0.0, 0.85, "mse"),
    )

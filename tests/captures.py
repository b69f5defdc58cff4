"""Tasks small enough to watch."""

from __future__ import annotations

from namexp.schema.experiment import parse_model
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.module import CaptureTask
from namexp.tasks.capture.networks import build_network


def two_submodels(dilations: list[int]) -> CaptureTask:
    """A real task of two submodels with kernels of 2."""
    plan = parse_model(
        {
            "kind": "packed_wavenet", "channels": [1, 2], "submodels": None, "head_scale": 0.5,
            "layer_arrays": [
                {"kernel_sizes": 2, "dilations": dilations, "activation": "Tanh",
                 "head": {"kernel_size": 1, "bias": True}}
            ],
        }
    )  # fmt: skip
    return CaptureTask(
        build_network(plan, seed=0),
        loss=LossConfig(1.0, 0.0, 0.0, 0.0, 0.0, 0.85, 0.0, 0.85, "mse"),
        optimizer=OptimizerConfig("SGD", 0.1, 0.0, {}),
        scheduler=SchedulerConfig(None, {}, "epoch", "val_loss"),
    )

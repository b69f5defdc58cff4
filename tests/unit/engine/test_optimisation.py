"""Options that torch does not take are told before the training; boosting holds what it must."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from namexp.engine.module import Optimisation
from namexp.engine.optimisation import build_optimizer, check_optimisation
from namexp.errors import UserError
from namexp.models.wavenet import SlimmableWaveNet
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.data.windows import Batch
from namexp.tasks.capture.module import CaptureModule
from tests.architectures import SLIMMABLE

ADAM = OptimizerConfig("Adam", 0.01, 0.0, None)
CONSTANT = SchedulerConfig(None, None, "epoch", "val_loss")
MSE = LossConfig(1.0, 0.0, 0.0, 0.0, 0.0, 0.85, 0.0, 0.85, "mse")


@pytest.mark.parametrize(
    ("optimizer", "scheduler", "expected"),
    [
        (OptimizerConfig("Adam", 0.01, 0.0, {"foo": 1}), CONSTANT, "optimizer.name (= Adam) does not take"),
        (OptimizerConfig("Adam", 0.01, 0.0, {"betas": [2, 2]}), CONSTANT, "{'betas': [2, 2]}"),
        (ADAM, SchedulerConfig("StepLR", {"gamma": 0.9}, "epoch", "val_loss"), "step_size"),
        (ADAM, SchedulerConfig("CosineAnnealingLR", {"gamma": 0.9}, "epoch", "val_loss"), "gamma"),
    ],
)
def test_wrong_options_are_refused_by_name(optimizer: Any, scheduler: Any, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        check_optimisation(optimizer, scheduler)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_right_options_pass() -> None:
    check_optimisation(
        OptimizerConfig("AdamW", 0.01, 0.1, {"betas": [0.8, 0.9]}),
        SchedulerConfig("CosineAnnealingLR", {"T_max": 10}, "epoch", "val_loss"),
    )


@pytest.mark.parametrize(
    ("config", "scaled", "expected"),
    [
        (ADAM, False, True),
        (ADAM, True, None),  # its clipping would see scaled gradients
        (OptimizerConfig("Adam", 0.01, 0.0, {"foreach": True}), False, None),
        (OptimizerConfig("SGD", 0.01, 0.0, None), False, True),
    ],
)
def test_the_step_is_fused_where_torch_can(
    config: OptimizerConfig, scaled: bool, expected: bool | None
) -> None:
    parameters = [torch.nn.Parameter(torch.ones(3))]
    optimizer = build_optimizer(parameters, config, scaled_gradients=scaled)
    assert optimizer.param_groups[0]["fused"] is expected


def test_boosting_holds_the_smaller_widths_through_real_steps() -> None:
    # Lightning computes the gradients inside the optimiser's step: the width must be drawn before.
    net = SlimmableWaveNet(SLIMMABLE, boosting=True, seed=0).train()
    task = CaptureModule(net, Optimisation(ADAM, CONSTANT), loss=MSE)
    optimizer = task.configure_optimizers()
    batch = Batch(torch.randn(2, 130), torch.randn(2, 100))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = task.training_step(batch, 0)
        loss.backward()
        return loss

    drawn = []
    for step in range(12):
        task.updates = step
        before = [net.slimmed(i).export_weights() for i in range(3)]
        task.optimizer_step(0, step, optimizer, closure)
        drawn.append(net._drawn)
        moved = [not torch.equal(net.slimmed(i).export_weights(), before[i]) for i in range(3)]
        assert moved[drawn[-1]], "the drawn width learns"
        assert not any(moved[: drawn[-1]]), "the smaller ones stay"
    assert set(drawn) == {0, 1, 2}

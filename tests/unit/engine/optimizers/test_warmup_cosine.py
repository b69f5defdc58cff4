"""The learning rate of every step, by the formula; what it is made of is refused where it makes no sense."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from namexp.engine.optimisation import build_scheduler, check_optimisation
from namexp.errors import UserError
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig

ADAM = OptimizerConfig("Adam", 0.01, 0.0, None)


def _rates(total: int, steps: int, **options: Any) -> list[float]:
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (2.0, 1.0)]
    optimizer = torch.optim.SGD(groups)
    config = SchedulerConfig("WarmupCosine", options, "step", "val_loss")
    schedule = build_scheduler(optimizer, config, total_steps=total)
    rates = []
    for _ in range(steps):
        first, second = (group["lr"] for group in optimizer.param_groups)
        assert first == 2 * second
        rates.append(second)
        optimizer.step()
        schedule.step()
    return rates


def test_up_in_a_line_and_down_a_cosine() -> None:
    rates = _rates(14, 17, warmup_steps=4, final=0.1)
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    falling = [0.1 + 0.9 * (1 + math.cos(math.pi * k / 10)) / 2 for k in range(11)]
    assert rates[4:15] == pytest.approx(falling)
    assert rates[14:] == pytest.approx([0.1] * 3), "past the end it stays"


def test_without_warm_up_and_without_an_end_to_fall_to() -> None:
    assert _rates(4, 4, warmup_steps=0, final=0.0) == pytest.approx(
        [1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]
    )
    assert _rates(2, 2) == [1 / 60, 2 / 60], "a training shorter than its warm-up is cut off in it"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup_steps": -1}, "warmup_steps (= -1) must be a whole number of at least 0"),
        ({"warmup_steps": 1.5}, "warmup_steps (= 1.5) must be a whole number"),
        ({"final": 1.1}, "final (= 1.1) must lie between 0 and 1"),
        ({"final": "low"}, "final (= low) must lie between 0 and 1"),
        ({"T_max": 3}, "T_max"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_optimisation(ADAM, SchedulerConfig("WarmupCosine", options, "step", "val_loss"))
    assert str(caught.value).startswith("scheduler.name (= WarmupCosine) does not take scheduler.options")
    assert message in str(caught.value)

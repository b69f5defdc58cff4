"""The learning rate of every step, by the formula; what it is made of is refused where it makes no sense."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from namexp.engine.optimisation import build_scheduler, check_optimisation
from namexp.engine.optimizers.warmup_cosine import WarmupCosine
from namexp.errors import UserError
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig

ADAM = OptimizerConfig("Adam", 0.01, 0.0, None)


def _rates(total: float, steps: int, **options: Any) -> list[float]:
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
    rates = _rates(24, 27, warmup_steps=4, final=0.1)
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    falling = [0.1 + 0.9 * (1 + math.cos(math.pi * k / 20)) / 2 for k in range(21)]
    assert rates[4:25] == pytest.approx(falling)
    assert rates[24:] == pytest.approx([0.1] * 3), "past the end it stays"


def test_without_warm_up_and_without_an_end_to_fall_to() -> None:
    assert _rates(4, 4, warmup_steps=0, final=0.0) == pytest.approx(
        [1.0, 0.5 + 0.5**1.5, 0.5, 0.5 - 0.5**1.5]
    )
    assert _rates(10, 4) == pytest.approx([0.5, 1.0, 1.0, 0.02 + 0.98 * (1 + math.cos(math.pi / 8)) / 2]), (
        "of a short training a fifth is warm-up"
    )
    assert _rates(math.inf, 100)[60:] == [1.0] * 40, "as long as nobody knows the end"


def test_after_an_end_it_begins_anew_and_the_past_stays() -> None:
    first, more = (
        _rates(20, 20, warmup_steps=2, final=0.1),
        _rates(40, 40, warmup_steps=2, final=0.1, restarts=[20]),
    )
    assert more[:20] == first
    assert more[20:22] == pytest.approx([0.1 + 0.9 / 2, 1.0])
    assert more[22:] == pytest.approx([0.1 + 0.9 * (1 + math.cos(math.pi * k / 18)) / 2 for k in range(18)])


def test_an_end_that_is_told_on_the_way_counts_and_a_stored_one_does_not() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    late = WarmupCosine(optimizer, math.inf, warmup_steps=2)
    for _ in range(3):
        optimizer.step()
        late.step()
    late.end_at(12)
    assert [late.share(t) for t in range(12)] == pytest.approx(_rates(12, 12, warmup_steps=2))
    longer = WarmupCosine(optimizer, 24, warmup_steps=2, restarts=[12])
    longer.load_state_dict(late.state_dict())
    assert (longer.last_epoch, longer.total_steps, longer.restarts) == (3, 24, [12])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warmup_steps": -1}, "warmup_steps (= -1) must be a whole number of at least 0"),
        ({"warmup_steps": 1.5}, "warmup_steps (= 1.5) must be a whole number"),
        ({"final": 1.1}, "final (= 1.1) must lie between 0 and 1"),
        ({"final": "low"}, "final (= low) must lie between 0 and 1"),
        ({"restarts": [3, 2]}, "restarts (= [3, 2]) must be steps above 0 in their order"),
        ({"restarts": [0]}, "restarts (= [0]) must be steps above 0"),
        ({"T_max": 3}, "T_max"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        check_optimisation(ADAM, SchedulerConfig("WarmupCosine", options, "step", "val_loss"))
    assert str(caught.value).startswith("scheduler.name (= WarmupCosine) does not take scheduler.options")
    assert message in str(caught.value)

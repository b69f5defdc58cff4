"""A learning rate that rises in a straight line, and falls along a cosine until the training ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class WarmupCosine(LRScheduler):
    """Step t of T, counted from 0, w of them warm-up, f the final share, as a share of the learning rate.

    (t + 1) / w below w, then f + (1 - f) (1 + cos(pi (t - w) / (T - w))) / 2. A training that is made longer
    after its end begins anew there, from f up and down again (as in Loshchilov and Hutter 2017,
    arXiv:1608.03983): its past stays what it was. Of a short stretch at most a fifth is warm-up.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: float,
        warmup_steps: int = 60,
        final: float = 0.02,
        restarts: Sequence[int] = (),
    ) -> None:
        """Begin.

        Args:
            optimizer: whose learning rates are set.
            total_steps: T; infinite as long as it is not known: then there is no way down.
            warmup_steps: w.
            final: f.
            restarts: steps at which an earlier end was, in their order.

        Raises:
            ValueError: an argument out of range.
        """
        if isinstance(warmup_steps, bool) or not isinstance(warmup_steps, int) or warmup_steps < 0:
            raise ValueError(f"warmup_steps (= {warmup_steps}) must be a whole number of at least 0")
        if isinstance(final, bool) or not isinstance(final, int | float) or not 0.0 <= final <= 1.0:
            raise ValueError(f"final (= {final}) must lie between 0 and 1")
        if not all(isinstance(step, int) and step > 0 for step in restarts) or list(restarts) != sorted(
            {*restarts}
        ):
            raise ValueError(f"restarts (= {list(restarts)}) must be steps above 0 in their order")
        self.total_steps, self.warmup_steps, self.final = total_steps, warmup_steps, final
        self.restarts = list(restarts)
        super().__init__(optimizer)

    def share(self, t: int) -> float:
        """Of the learning rate, at step ``t``."""
        begin = max((step for step in self.restarts if step <= t), default=0)
        end = min((step for step in self.restarts if step > t), default=self.total_steps)
        t, length = t - begin, end - begin
        w = self.warmup_steps if math.isinf(length) else min(self.warmup_steps, int(length) // 5)
        floor = self.final if begin else 0.0
        if t < w:
            return floor + (1 - floor) * (t + 1) / w
        progress = min((t - w) / max(length - w, 1), 1.0)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2

    def end_at(self, total_steps: int) -> None:
        """The training's length has become known; no rate until now depends on it."""
        self.total_steps = total_steps

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there; how it goes on is said by the arguments, also where a training is longer now."""
        own = ("total_steps", "warmup_steps", "final", "restarts")
        super().load_state_dict({name: value for name, value in state_dict.items() if name not in own})
        for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
            group["lr"] = lr  # of a training that had ended it was the last of all

    def get_lr(self) -> list[Any]:
        """Of each parameter group."""
        return [base * self.share(self.last_epoch) for base in self.base_lrs]

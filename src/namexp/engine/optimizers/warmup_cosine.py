"""A learning rate that rises in a straight line, and falls along a cosine until the training ends."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class WarmupCosine(LRScheduler):
    """Step t of T, counted from 0, w of them warm-up, f the final share, as a share of the learning rate.

    (t + 1) / w below w, then f + (1 - f) (1 + cos(pi (t - w) / (T - w))) / 2. A training that has begun so
    cannot be made longer: the longer one would have begun otherwise.
    """

    def __init__(
        self, optimizer: Optimizer, total_steps: int, warmup_steps: int = 60, final: float = 0.02
    ) -> None:
        """Begin.

        Args:
            optimizer: whose learning rates are set.
            total_steps: T.
            warmup_steps: w.
            final: f.

        Raises:
            ValueError: an argument out of range.
        """
        if isinstance(warmup_steps, bool) or not isinstance(warmup_steps, int) or warmup_steps < 0:
            raise ValueError(f"warmup_steps (= {warmup_steps}) must be a whole number of at least 0")
        if isinstance(final, bool) or not isinstance(final, int | float) or not 0.0 <= final <= 1.0:
            raise ValueError(f"final (= {final}) must lie between 0 and 1")
        self.total_steps, self.warmup_steps, self.final = total_steps, warmup_steps, final
        super().__init__(optimizer)

    def share(self, t: int) -> float:
        """Of the learning rate, at step ``t``."""
        w = self.warmup_steps
        if t < w:
            return (t + 1) / w
        progress = min((t - w) / max(self.total_steps - w, 1), 1.0)
        return self.final + (1 - self.final) * (1 + math.cos(math.pi * progress)) / 2

    def get_lr(self) -> list[Any]:
        """Of each parameter group."""
        return [base * self.share(self.last_epoch) for base in self.base_lrs]

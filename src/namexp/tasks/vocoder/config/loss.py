"""The group ``loss``: how much each part of the generator's loss counts, and from when on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import as_integer, at_least


@dataclass
class HifiganLoss:
    """Weights of the generator's loss.

    ``adversarial_start_step``: from this batch on the discriminators take part: 0 as in the paper, null
    never. ``discriminator_warmup_steps``: batches in which they learn alone, where a training starts from a
    generator without them.
    """

    mel_weight: float
    feature_matching_weight: float
    adversarial_weight: float
    adversarial_start_step: Any
    discriminator_warmup_steps: int

    def __post_init__(self) -> None:
        """Ranges, and that something is learned."""
        for name in ("mel_weight", "feature_matching_weight", "adversarial_weight"):
            at_least(f"loss.{name}", getattr(self, name), 0.0)
        if self.adversarial_start_step is not None:
            self.adversarial_start_step = as_integer(
                self.adversarial_start_step, "loss.adversarial_start_step", minimum=0
            )
        as_integer(self.discriminator_warmup_steps, "loss.discriminator_warmup_steps", minimum=0)
        if self.mel_weight == 0 and self.adversarial_start_step != 0:
            raise UserError(
                "loss.mel_weight (= 0): before loss.adversarial_start_step (= "
                f"{self.adversarial_start_step}) nothing else is learned from; raise it, or start at 0."
            )
        if not self.mel_weight + self.feature_matching_weight + self.adversarial_weight > 0:
            raise UserError("every loss weight is 0; set at least one, such as loss.mel_weight=45.")

    def is_adversarial(self, step: int) -> bool:
        """Whether the discriminators take part in the batch ``step``, counted from 0."""
        return self.adversarial_start_step is not None and step >= self.adversarial_start_step

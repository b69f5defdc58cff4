"""The group ``trainer`` of a vocoder: two networks are clipped apart, and a batch may be too large."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import is_number, shown
from namexp.schema.trainer import TrainerConfig


@dataclass
class VocoderTrainer(TrainerConfig):
    """Where and how long.

    ``gradient_clip_norm_g``, ``_d``: of the generator's gradient and of the discriminators'; null: what
    ``gradient_clip_norm`` says for both. ``skip_oom``: leave a batch that the device cannot hold.
    """

    gradient_clip_norm_g: Any = None
    gradient_clip_norm_d: Any = None
    skip_oom: bool = False

    def __post_init__(self) -> None:
        """Ranges."""
        super().__post_init__()
        for name in ("gradient_clip_norm_g", "gradient_clip_norm_d"):
            clip = getattr(self, name)
            if clip is not None and (not is_number(clip) or clip <= 0):
                raise UserError(f"trainer.{name} (= {shown(clip)}) must be above 0 or null.")
        if self.skip_oom and self.world_size > 1:
            raise UserError(
                f"trainer.skip_oom (= true) with {self.world_size} processes: one that leaves a batch would "
                "be "
                "waited for by the others; use skip_oom=false and a smaller data.batch_size."
            )

    def clip_norm(self, group: str) -> float | None:
        """Of the group ``g`` or ``d``."""
        own: float | None = {"g": self.gradient_clip_norm_g, "d": self.gradient_clip_norm_d}[group]
        return self.gradient_clip_norm if own is None else own

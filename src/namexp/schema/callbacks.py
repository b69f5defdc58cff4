"""The group ``callbacks``: what happens beside a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import as_integer, is_number, shown


@dataclass
class CallbacksConfig:
    """What happens beside the training.

    ``stop_at``: the headline metric that is good enough; ``stop_at_esr`` is its older name, for amps.
    ``checkpoint_every_n_steps``: weights that are kept on the way, the newest ``keep_checkpoints`` of them.
    """

    progress: bool
    plots: bool
    stop_at_esr: Any
    patience: Any
    audio: bool = True
    report: bool = True
    stop_at: Any = None
    checkpoint_every_n_steps: Any = None
    keep_checkpoints: Any = 20

    def __post_init__(self) -> None:
        """Ranges."""
        if self.stop_at_esr is not None:
            if not is_number(self.stop_at_esr) or self.stop_at_esr <= 0:
                raise UserError(
                    f"callbacks.stop_at_esr (= {shown(self.stop_at_esr)}) must be above 0 or null."
                )
            self.stop_at_esr = float(self.stop_at_esr)
        if self.stop_at is not None:
            if not is_number(self.stop_at):
                raise UserError(f"callbacks.stop_at (= {shown(self.stop_at)}) must be a number or null.")
            self.stop_at = float(self.stop_at)
        if self.stop_at is not None and self.stop_at_esr is not None:
            raise UserError(
                f"callbacks.stop_at (= {self.stop_at:g}) and callbacks.stop_at_esr (= {self.stop_at_esr:g}) "
                "are both given; keep one of them."
            )
        if self.checkpoint_every_n_steps is not None:
            self.checkpoint_every_n_steps = as_integer(
                self.checkpoint_every_n_steps, "callbacks.checkpoint_every_n_steps", minimum=1
            )
        self.keep_checkpoints = as_integer(self.keep_checkpoints, "callbacks.keep_checkpoints", minimum=1)
        if self.patience is not None:
            self.patience = as_integer(self.patience, "callbacks.patience", minimum=1)

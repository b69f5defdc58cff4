"""The group ``callbacks``: what happens beside a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import as_integer, is_number, shown


@dataclass
class CallbacksConfig:
    """What happens beside the training."""

    progress: bool
    plots: bool
    stop_at_esr: Any
    patience: Any
    audio: bool = True
    report: bool = True

    def __post_init__(self) -> None:
        """Ranges."""
        if self.stop_at_esr is not None:
            if not is_number(self.stop_at_esr) or self.stop_at_esr <= 0:
                raise UserError(
                    f"callbacks.stop_at_esr (= {shown(self.stop_at_esr)}) must be above 0 or null."
                )
            self.stop_at_esr = float(self.stop_at_esr)
        if self.patience is not None:
            self.patience = as_integer(self.patience, "callbacks.patience", minimum=1)

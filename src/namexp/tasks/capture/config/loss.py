"""The group ``loss``: terms of the training loss, and the metric that selects the best checkpoint."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from namexp.errors import UserError
from namexp.schema.fields import at_least, is_number, shown

VAL_LOSSES = ("esr", "mse", "mrstft")


@dataclass
class LossConfig:
    """Weights of the training loss and the metric that selects the best checkpoint.

    A term with weight 0 is not computed. Pre-emphasis is ``x[t] - coefficient * x[t-1]``.
    """

    mse_weight: float
    esr_weight: float
    dc_weight: float
    mrstft_weight: float
    pre_emphasis_mse_weight: float
    pre_emphasis_mse_coefficient: float
    pre_emphasis_mrstft_weight: float
    pre_emphasis_mrstft_coefficient: float
    val_loss: str

    def __post_init__(self) -> None:
        """Weights must be finite and not negative, and one must count."""
        weights = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        weights = {k: v for k, v in weights.items() if k.endswith("_weight")}
        for name, value in weights.items():
            at_least(f"loss.{name}", value, 0.0)
        if not any(weights.values()):
            raise UserError("every loss weight is 0; set at least one, such as loss.mse_weight=1.")
        for name in ("pre_emphasis_mse_coefficient", "pre_emphasis_mrstft_coefficient"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                raise UserError(f"loss.{name} (= {value}) must lie between 0 and 1.")
        if self.val_loss not in VAL_LOSSES:
            raise UserError(
                f"loss.val_loss (= {shown(self.val_loss)}) must be one of {', '.join(VAL_LOSSES)}."
            )

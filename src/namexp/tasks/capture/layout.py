"""Names in a run directory that only a capture has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from namexp.runs.layout import RunLayout

LEAVES = ("packed_best.json", "packed_best_submodel_*.ckpt")  # of a fit
NAM = "model.nam"


@dataclass(frozen=True)
class CaptureLayout(RunLayout):
    """Where everything of one capture lies."""

    @property
    def nam(self) -> Path:
        """The exported model."""
        return self.root / NAM

    @property
    def packed_best(self) -> Path:
        """Which checkpoint is the best of each submodel of a pack."""
        return self.root / "packed_best.json"

    def packed_best_submodel(self, index: int) -> Path:
        """The best weights of submodel ``index`` of a pack."""
        return self.root / f"packed_best_submodel_{index}.ckpt"

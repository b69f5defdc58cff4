"""Names in a run directory that only a density has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from namexp.runs.layout import RunLayout

MODEL = "model.safetensors"


@dataclass(frozen=True)
class DensityLayout(RunLayout):
    """Where everything of one density lies."""

    @property
    def model(self) -> Path:
        """The exported network."""
        return self.root / MODEL

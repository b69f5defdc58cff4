"""Names in a run directory that only a vocoder has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from namexp.runs.layout import RunLayout

MODEL = "model.safetensors"
GENERATED = "generated-{}.wav"  # of a clip's name


@dataclass(frozen=True)
class VocoderLayout(RunLayout):
    """Where everything of one vocoder lies."""

    @property
    def model(self) -> Path:
        """The exported generator."""
        return self.root / MODEL

    @property
    def test(self) -> Path:
        """What it makes of the test set."""
        return self.root / "test"

"""A generator that is ready to play, and what it must be given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namexp.models.hifigan import Generator
from namexp.tasks.vocoder.config.mel import Mels


@dataclass(frozen=True)
class Voice:
    """What a file holds.

    Attributes:
        generator: its weights fused, in evaluation mode.
        mels: what goes in, and what judges what comes out.
        source: the file.
        statistics: mean and std of the mels that it learned from, by bin; None where the file has none.
        discriminators: their weights by ``mpd.`` and ``msd.`` names; empty where the file has none.
        about: what else the file says of its training: plain values.
    """

    generator: Generator
    mels: Mels
    source: Path
    statistics: Mapping[str, Any] | None
    discriminators: Mapping[str, Any]
    about: Mapping[str, Any]

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.mels.input.sample_rate

"""What every description of a network says."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar


class ModelSpec(ABC):
    """A network in numbers. ``architecture`` is its name in a ``.nam`` file."""

    architecture: ClassVar[str]

    @property
    @abstractmethod
    def out_channels(self) -> int:
        """Channels of the output."""

    @property
    @abstractmethod
    def receptive_field(self) -> int | None:
        """R in samples: how many inputs one output depends on; None if unbounded."""

    @property
    @abstractmethod
    def num_weights(self) -> int:
        """How many numbers ``weights`` of a file holds."""

    @property
    @abstractmethod
    def macs_per_sample(self) -> int:
        """Multiply-accumulates for one output sample."""

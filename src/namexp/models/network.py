"""What every network that maps audio to audio has in common.

Letters: B batch, S submodels (rows of the output), L samples, R receptive field.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from namexp.architectures.spec import ModelSpec


class Network(nn.Module, ABC):
    """Maps a mono input to S mono outputs; the core works on S and never asks for the kind."""

    @property
    @abstractmethod
    def spec(self) -> ModelSpec:
        """Its description, with the values it has now."""

    @property
    def receptive_field(self) -> int | None:
        """R in samples; None where the memory has no end (recurrent networks)."""
        return self.spec.receptive_field

    @property
    def row_suffixes(self) -> tuple[str, ...]:
        """What a metric's name gets for each row of the output: S entries."""
        return ("",)

    @property
    def row_names(self) -> tuple[str, ...]:
        """A name for each row, for people: S entries."""
        return ("model",)

    @property
    def members(self) -> tuple[Network, ...]:
        """The parts that have weights of their own, and so a best of their own; none where rows share."""
        return ()

    @property
    def whole(self) -> Network:
        """The network whose weights this one is made of: itself, but for one that plays slices of it."""
        return self

    def alone(self, row: int) -> Network:
        """Row ``row`` as a network of its own, which costs no more than it must; a copy where rows share."""
        assert row == 0, f"a network of one row was asked for row {row}"
        return self

    def selected(self, slim: float) -> int:
        """The row that plays at ``slim``, 0 to 1. Without thresholds all have an equal share."""
        return min(math.floor(slim * len(self.row_suffixes)), len(self.row_suffixes) - 1)

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """(B, L) samples to (B, S, L - R + 1): only outputs whose whole past is known."""

    def begin_step(self, step: int) -> None:
        """Called before training step ``step``; a network that draws draws here, from the step."""

    @property
    def variant(self) -> Hashable:
        """Which of its ways to compute the next ``forward`` takes; 0 where there is only one."""
        return 0

    @contextmanager
    def parameter_update(self) -> Iterator[None]:
        """Around one optimiser step; a network that keeps some weights fixed restores them."""
        yield

    def row_parameters(self, row: int) -> list[nn.Parameter]:
        """The parameters that row ``row`` alone depends on; all of them where rows share."""
        del row
        return list(self.parameters())

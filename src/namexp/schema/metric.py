"""What a task reports of itself, declared once: names, directions and scales."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """One figure of a validation.

    Attributes:
        name: column of metrics.csv, key of summary.json, word on the page.
        better: which way is better.
        scale: ``ratio`` (of energies) and ``distance`` are above 0, drawn and compared by logarithm, the
            ratio shown in dB too. ``plain``: anything, compared by difference.
        digits: after the point, where people read it.
        tabled: whether tables show it without being asked.
        meaning: for people, in a few words.
    """

    name: str
    better: Literal["lower", "higher"] = "lower"
    scale: Literal["ratio", "distance", "plain"] = "plain"
    digits: int = 4
    tabled: bool = True
    meaning: str = ""

    @property
    def is_logarithmic(self) -> bool:
        """Whether values are above 0, and differ by factors."""
        return self.scale != "plain"

    @property
    def key(self) -> str:
        """Its name where only small letters are usual: report.json, columns of report.csv, filters."""
        return self.name.lower()

    def is_like(self, other: Metric) -> bool:
        """Whether values of both may be compared."""
        return (self.name, self.better, self.scale) == (other.name, other.better, other.scale)

    def is_better(self, one: float, other: float) -> bool:
        """Whether ``one`` beats ``other``; what is not a number beats nothing."""
        return one < other if self.better == "lower" else one > other

    def reaches(self, value: float, goal: float) -> bool:
        """Whether ``value`` is as good as ``goal`` or better."""
        return value == goal or self.is_better(value, goal)

    def cost(self, value: float) -> float:
        """``value`` with its sign chosen so that less is better, for what sorts or minimises."""
        return value if self.better == "lower" else -value


VAL_LOSS = Metric("val_loss")  # what selects the best checkpoint, in every task: lower is better

"""What the page draws of a vocoder: the figures and tables of the report, in the words of summary.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from namexp.comparison.adversarial import DISCRIMINATORS, FIGURES, TABLES, TOTAL_D

WORDS = {"target": "Recording", "generated": "Generated"}


def page(*, adversarial: bool) -> Mapping[str, Any]:
    """Total losses, rates, gradient norms, mean outputs, every part; less where no discriminator is."""
    if adversarial:
        return {"figures": list(FIGURES), "tables": list(TABLES), "words": WORDS}
    own = (*DISCRIMINATORS, TOTAL_D)
    figures = [
        figure
        for figure in FIGURES
        if not all(any(name in column for name in own) for column in figure["columns"].values())
    ]
    return {"figures": figures, "words": WORDS}

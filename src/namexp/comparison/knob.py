"""What each position of the quality knob buys, and one number to rank containers by.

Letters: S submodels.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

REFERENCE_MACS = 1000.0  # where the cost in dB is 0; it shifts every score alike


@dataclass(frozen=True)
class Knob:
    """A container over its knob.

    Attributes:
        edges: S + 1 positions from 0 to 1; submodel i plays from edges[i] up to edges[i + 1].
        esr: of each submodel.
        macs: per sample, of each submodel.
        mean_quality_db: how far the error lies below the target, -10 log10 ESR, averaged over the
            knob.
        mean_macs: MACs per sample averaged over the knob: the computation to expect.
        mean_cost_db: 10 log10 of MACs per 1000, averaged over the knob.
    """

    edges: tuple[float, ...]
    esr: tuple[float, ...]
    macs: tuple[float, ...]
    mean_quality_db: float
    mean_macs: float
    mean_cost_db: float

    @property
    def score(self) -> float:
        """The knob score in dB; more is better.

        The area between the quality and the cost of the container over its knob, both in dB:

            score = integral over slim from 0 to 1 of (-10 log10 ESR - 10 log10 (MACs / 1000))

        which is the mean distance, over a knob position drawn uniformly, from the line
        ESR x MACs = 1000. Why this one: nobody knows where users leave the knob, so every position
        counts alike, and the thresholds matter just as much as the submodels do. Error times
        computation is an exchange rate that everybody can check: to halve the error is worth twice
        the computation (3 dB for 3 dB), and on the chart of ESR over MACs, both logarithmic, models
        of equal worth lie on one falling diagonal. It knows no other run, so adding one to a report
        changes no score. A container cannot win by quality alone (a large model at every position),
        nor by thrift alone. It is a ranking, no law: who has a fixed budget reads the curves.
        """
        return self.mean_quality_db - self.mean_cost_db


def knob(max_values: Sequence[float], esr: Sequence[float], macs: Sequence[float]) -> Knob | None:
    """Average over the knob; None where a figure is missing or not above 0.

    Args:
        max_values: ascending thresholds, the last 1.0; submodel i plays where slim < max_values[i]
            and the one before does not, the last also at 1.
        esr: of each submodel.
        macs: per sample, of each submodel.
    """
    if not len(max_values) == len(esr) == len(macs) or not all(v > 0 for v in (*esr, *macs)):
        return None
    edges = (0.0, *max_values)
    widths = [b - a for a, b in itertools.pairwise(edges)]
    return Knob(
        edges=edges,
        esr=tuple(esr),
        macs=tuple(macs),
        mean_quality_db=math.fsum(w * quality_db(e) for w, e in zip(widths, esr, strict=True)),
        mean_macs=math.fsum(w * m for w, m in zip(widths, macs, strict=True)),
        mean_cost_db=math.fsum(
            w * 10.0 * math.log10(m / REFERENCE_MACS) for w, m in zip(widths, macs, strict=True)
        ),
    )


def quality_db(esr: float) -> float:
    """How many dB the error lies below the target."""
    return -10.0 * math.log10(esr)

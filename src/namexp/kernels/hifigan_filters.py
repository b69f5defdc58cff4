"""The filters of the compiled HiFi-GAN generator, its source text, and weights in the order of use.

The arithmetic is in ``native/hifigan_*.hpp``.
Letters: I inputs, O outputs, K kernel, P products, R taps of a filter.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True)
class MinimalFilter:
    """A filter of ``taps`` taps for ``outputs`` positions at a time (``native/hifigan_filters.hpp``).

    Attributes:
        outputs: positions.
        taps: R; a longer kernel is several such filters, and R is then also ``outputs``.
        pairs: points p, each standing for +p and -p; 0 is always one.
        infinite: whether infinity is one.
    """

    outputs: int
    taps: int
    pairs: tuple[float, ...]
    infinite: bool

    @property
    def products(self) -> int:
        """For ``outputs`` positions, instead of outputs times taps."""
        return self.outputs + self.taps - 1

    def transformed(self, weights: Tensor) -> Tensor:
        """(K, I, O) as the sum of several such filters, (P, filters, I, O).

        A kernel that they do not fill begins with taps of weight 0: those that follow would wait for input.
        """
        parts = -(-len(weights) // self.taps)
        filled = pad(weights, (0, 0, 0, 0, parts * self.taps - len(weights), 0)).double()
        points = self._evaluation()
        return torch.stack([torch.tensordot(points, part, 1) for part in filled.split(self.taps)], dim=1)

    def _evaluation(self) -> Tensor:
        """(P, R): a filter's values at the points, divided by what the interpolation divides by."""
        points = [0.0, *(sign * p for p in self.pairs for sign in (1.0, -1.0))]
        rows = []
        for p in points:
            scale = prod(p - other for other in points if other != p)
            rows.append([p**k / scale for k in range(self.taps)])
        if self.infinite:
            rows.append([0.0] * (self.taps - 1) + [1.0])
        return torch.tensor(rows, dtype=torch.float64)


# The points are those, among multiples of 1/8, that round least.
THREE = MinimalFilter(4, 3, (0.625, 1.5), True)
FOUR = MinimalFilter(4, 4, (0.5, 1.25, 2.5), False)
FIVE = MinimalFilter(4, 5, (0.5, 1.0, 2.0), True)
FILTERS = (THREE, FOUR, FIVE)


def filter_for(kernel: int, channels: int) -> MinimalFilter | None:
    """The fastest for a residual block's convolution; None: as it is written."""
    if kernel < (3 if channels > 8 else 5):  # so few channels do not pay for the transforms
        return None
    return {3: THREE, 5: FIVE}.get(kernel, FOUR)


def source() -> str:
    """The C++ text of the library: one for all generators."""
    structs, kinds = "", ["Direct"]
    for i, of in enumerate(FILTERS):
        structs += (
            f"struct Points{i} {{\n  static constexpr int OUTPUTS = {of.outputs};\n"
            f"  static constexpr bool INFINITE = {str(of.infinite).lower()};\n"
            f"  static constexpr double PAIRS[] = {{{', '.join(map(repr, of.pairs))}}};\n}};\n"
        )
        kinds.append(f"Minimal<Points{i}>")
    listed = ", ".join(f"namexp::FilterKind::of<{kind}>()" for kind in kinds)
    return (
        f'#include "hifigan_stream.hpp"\nusing namespace namexp;\n{structs}'
        f"static const FilterKind filters[] = {{{listed}}};\nNAMEXP_HIFIGAN(filters)\n"
    )


class Vectors(NamedTuple):
    """Sizes of the compiled code: lanes, lanes of narrow rows, vectors of outputs in a block."""

    wide: int
    narrow: int
    block: int

    def row(self, channels: int) -> int:
        """Numbers of a row in memory."""
        return -(-channels // self.narrow) * self.narrow

    def blocks(self, row: int) -> list[tuple[int, int]]:
        """[begin, end) of the outputs that stand together in the weights."""
        lanes = self.narrow if row % self.wide else self.wide
        size, found, begin = self.block * lanes, [], 0
        while begin < row:
            end = begin + (size if begin + size <= row else lanes)
            found.append((begin, end))
            begin = end
        return found

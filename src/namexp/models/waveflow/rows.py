"""The inverse of a flow as a stream: rows from above to below, columns as they come.

Row i needs the rows above it some columns further on than it is itself, so every row lags behind the last,
and every flow behind the one that feeds it. Nothing is computed twice and nothing is left out: what comes
piece by piece is what comes at once, up to the rounding of sums over pieces of other lengths.
Letters: B batch, h rows, K channels, w columns, L layers, r channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from namexp.architectures.waveflow import KERNEL, FlowSpec
from namexp.models.waveflow.folding import FoldedFlow


class Line:
    """Columns of a row that somebody still needs, addressed as in the whole row."""

    def __init__(self, columns: Tensor, begin: int = 0) -> None:
        """Begin with ``columns`` (..., w), the first of which is column ``begin``."""
        self._columns, self._begin = columns, begin

    @property
    def begin(self) -> int:
        """The first column that is still there."""
        return self._begin

    @property
    def end(self) -> int:
        """The first column that has not come."""
        return self._begin + self._columns.shape[-1]

    def append(self, columns: Tensor, zeros: int = 0) -> None:
        """The next (..., w), and so many zeros after them."""
        parts = [self._columns, columns]
        if zeros:
            parts.append(columns.new_zeros(*columns.shape[:-1], zeros))
        self._columns = torch.cat(parts, dim=-1)

    def between(self, begin: int, end: int) -> Tensor:
        """(..., end - begin), a view."""
        assert self._begin <= begin <= end <= self.end, (self._begin, begin, end, self.end)
        return self._columns[..., begin - self._begin : end - self._begin]

    def forget(self, before: int) -> None:
        """Nobody needs what is before this column any more."""
        gone = min(before, self.end) - self._begin
        if gone > 0:
            self._columns = self._columns[..., gone:].clone()
            self._begin += gone


class FlowStream:
    """One flow on its way through the columns."""

    def __init__(self, spec: FlowSpec, flow: FoldedFlow, order: Sequence[int], like: Tensor) -> None:
        """Begin.

        Args:
            spec: of the model.
            flow: its weights.
            order: of the conditioner's rows.
            like: (B, 1, h, w) noise, for its batch, device and type.
        """
        self._spec, self._flow, self._order = spec, flow, order
        self._first = spec.n_height - spec.transformed_rows
        h, L, r = spec.n_height, spec.n_layer, spec.res_channels
        rows = range(self._first, h)
        blank = like[:, 0, :1]  # (B, 1, w)
        self._noise = {row: Line(blank[..., :0]) for row in rows}
        self._sums = {row: Line(blank[..., :0].expand(-1, 2, -1)) for row in rows}  # log s and t so far
        self._inputs = {
            (row, n): Line(blank.new_zeros(len(blank), r if n else 2, dilation), -dilation)
            for row in rows
            for n, dilation in enumerate(spec.width_dilations)
        }
        self._progress = {(row, n): 0 for row in rows for n in range(L)}

    @property
    def done(self) -> int:
        """Columns of the last row that are done: of the conditioner, nothing before them is needed."""
        return self._progress[self._spec.n_height - 1, self._spec.n_layer - 1]

    def push(self, rows: Sequence[Tensor], conditioner: Line, *, final: bool) -> list[Tensor]:
        """The next columns of every row, as many as have come; (B, 1, w) each.

        Args:
            rows: (B, 1, w) each.
            conditioner: (B, h, M + 1, ...), the last channel ones, for all columns that have come.
            final: no more will come.
        """
        found: list[Tensor] = []
        for row, noise in enumerate(rows):
            if row < self._first:
                found.append(noise)
                continue
            self._noise[row].append(noise)
            above = found[-1] if row > 0 else torch.zeros_like(noise)
            self._feed(row, 0, torch.cat([above, torch.ones_like(above)], dim=1), final)
            found.append(self._row(row, conditioner, final))
        return found

    def _feed(self, row: int, n: int, columns: Tensor, final: bool) -> None:
        self._inputs[row, n].append(columns, self._spec.width_dilations[n] if final else 0)

    def _row(self, row: int, conditioner: Line, final: bool) -> Tensor:
        """What is known of a row now and was not before."""
        sums, last = self._sums[row], self._spec.n_layer - 1
        begin = self._progress[row, last]
        for n, dilation in enumerate(self._spec.width_dilations):
            a = self._progress[row, n]
            b = max(a, self._inputs[row, n].end - dilation)
            if a == b:
                break  # nothing new here, so nothing in any later layer
            gated = self._gated(row, n, a, b, conditioner)
            if n == 0:
                sums.append(self._flow.log_s_t.expand(len(gated), 2, b - a))
            _add(sums.between(a, b), self._flow.layers[n].projected, gated)
            if n < last:
                self._feed(row, n + 1, self._passed_on(row, n, a, b, gated), final)
            self._progress[row, n] = b
        self._forget(row)
        end = self._progress[row, last]
        log_s, t = sums.between(begin, end).chunk(2, dim=1)
        x = (self._noise[row].between(begin, end) - t) * (-log_s).exp()
        sums.forget(end)
        self._noise[row].forget(end)
        return x

    def _gated(self, row: int, n: int, a: int, b: int, conditioner: Line) -> Tensor:
        """Half of what passes the gates, (B, r, b - a); rows above the picture are zeros and cost nothing."""
        layer, dilation = self._flow.layers[n], self._spec.width_dilations[n]
        condition = conditioner.between(a, b)[:, self._order[row]]
        total = _product(layer.condition, condition)
        for i, taps in enumerate(layer.gate):
            above = row - (KERNEL - 1 - i) * self._spec.height_dilations[n]
            if above < self._first:
                continue
            for j, tap in enumerate(taps):
                shift = (j - KERNEL // 2) * dilation
                _add(total, tap, self._inputs[above, n].between(a + shift, b + shift))
        filtered, gate = total.sigmoid_().chunk(2, dim=1)
        return filtered.sub_(0.5).mul_(gate)

    def _passed_on(self, row: int, n: int, a: int, b: int, gated: Tensor) -> Tensor:
        """The next layer's input, (B, r, b - a)."""
        layer = self._flow.layers[n]
        h = self._inputs[row, n].between(a, b)
        passed = _product(self._flow.front, h) if n == 0 else h.clone()
        _add(passed, layer.passed_on, gated)
        return passed.add_(layer.passed_bias)

    def _forget(self, row: int) -> None:
        """Of what this row was the last one to read."""
        for n, (height, width) in enumerate(
            zip(self._spec.height_dilations, self._spec.width_dilations, strict=True)
        ):
            for above in (row - k * height for k in range(KERNEL)):
                readers = [
                    above + k * height for k in range(KERNEL) if above + k * height < self._spec.n_height
                ]
                if above >= self._first and readers[-1] == row:
                    self._inputs[above, n].forget(self._progress[row, n] - width)


def _add(total: Tensor, matrix: Tensor, x: Tensor) -> None:
    """``matrix`` (K', K) times ``x`` (B, K, w), added to ``total``; one clip costs no copies."""
    if len(x) == 1:
        total[0].addmm_(matrix, x[0])
    else:
        total.baddbmm_(matrix.expand(len(x), -1, -1), x)


def _product(matrix: Tensor, x: Tensor) -> Tensor:
    """``matrix`` (K', K) times ``x`` (B, K, w)."""
    if len(x) == 1:
        return torch.mm(matrix, x[0])[None]
    return torch.bmm(matrix.expand(len(x), -1, -1), x)


def with_ones(c: Tensor) -> Tensor:
    """(B, M, h, w) to (B, h, M + 1, w), ones in the last channel."""
    rows = c.transpose(1, 2).contiguous()  # else the sum is stored row by row, and every product copies
    return F.pad(rows, (0, 0, 0, 1), value=1.0)

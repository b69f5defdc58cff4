"""WaveFlow and NanoFlow in numbers: the flows, their estimator, and how often it exists.

Audio of T samples is a picture of ``n_height`` rows: sample j * h + i stands in row i, column j.
Source: Ping et al. 2020, arXiv:1912.01219; Lee et al. 2020, arXiv:2006.06280; the official configurations.
Letters: h rows, L layers, r channels, M mels, E size of a flow's embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from namexp.errors import UserError

Kind = Literal["waveflow", "nanoflow", "decomp", "naive"]
Permutation = Literal["reverse", "bipartized"]
Coupling = Literal["all_rows", "keep_first"]

KERNEL = 3  # of the gated convolutions, in height and in width
UPSAMPLE_RATES = (16, 16)  # of the conditioner, along time
UPSAMPLE_KERNEL_MELS = 3  # of its transposed convolutions, along the mels; along time it is twice the rate
HOP_LENGTH = 256  # samples for a frame


@dataclass(frozen=True)
class FlowSpec:
    """From T samples and M mels a frame to T numbers of white noise, and back.

    Attributes:
        kind: who owns what. "waveflow": every flow its own estimator; "nanoflow": one for all flows, which
            are told apart by an embedding, gates and projections of their own; "decomp": by projections
            alone; "naive": by nothing.
        n_mels: M.
        n_height: h.
        n_flow: flows, one after the other.
        n_layer: L of an estimator; the width dilations are 1, 2, 4, ...
        res_channels: r.
        n_layer_per_cycle: the height dilations begin again at 1 after so many layers, each twice the last.
        dilations_h: L height dilations, where they are no cycle.
        size_flow_embed: E of a NanoFlow.
        use_weightnorm_embed: weight norm on the embedding.
        permutation: of the rows, before ("all_rows") or after ("keep_first") a flow. "reverse": upside
            down; "bipartized": so in the first half of the flows, each half of the rows by itself after it.
        coupling: "all_rows": as in the NanoFlow repository; "keep_first": as in that of WaveFlow, where row
            0 passes, nothing is scaled, and the projection starts at zero.
    """

    kind: Kind
    n_mels: int
    n_height: int
    n_flow: int
    n_layer: int
    res_channels: int
    n_layer_per_cycle: int = 1
    dilations_h: tuple[int, ...] | None = None
    size_flow_embed: int | None = None
    use_weightnorm_embed: bool = False
    permutation: Permutation = "reverse"
    coupling: Coupling = "all_rows"

    @property
    def height_dilations(self) -> tuple[int, ...]:
        """Of the L layers."""
        if self.dilations_h is not None:
            return self.dilations_h
        return tuple(2 ** (n % self.n_layer_per_cycle) for n in range(self.n_layer))

    @property
    def width_dilations(self) -> tuple[int, ...]:
        """Of the L layers."""
        return tuple(2**n for n in range(self.n_layer))

    @property
    def hop_length(self) -> int:
        """Samples that a frame conditions."""
        return HOP_LENGTH

    @property
    def shared(self) -> bool:
        """Whether all flows have one estimator."""
        return self.kind != "waveflow"

    def num_samples(self, frames: int, *, official: bool = False) -> int:
        """Samples of a clip of so many centred frames, in whole columns; officially 512 fewer."""
        hops = max(0, frames - (3 if official else 1))
        return hops * self.hop_length // self.n_height * self.n_height

    # --- rows ---------------------------------------------------------------------------------------

    def permutation_of(self, flow: int) -> tuple[int, ...]:
        """Where each row of what comes out of flow's permutation stood before; its own inverse."""
        h = self.n_height
        if self.permutation == "reverse" or flow < self.n_flow // 2:
            return tuple(reversed(range(h)))
        return (*reversed(range(h // 2)), *reversed(range(h // 2, h)))

    @property
    def conditioner_orders(self) -> tuple[tuple[int, ...], ...]:
        """For every flow, the row of the conditioner that each of its rows is conditioned by.

        The inverse takes the same, so that it does not matter whether all permutations together do nothing.
        """
        order, found = tuple(range(self.n_height)), []
        for flow in range(self.n_flow):
            permuted = tuple(order[row] for row in self.permutation_of(flow))
            found.append(permuted if self.coupling == "all_rows" else order)
            order = permuted
        return tuple(found)

    # --- reach --------------------------------------------------------------------------------------

    @property
    def reach_columns(self) -> int:
        """Columns on either side that one pass of an estimator looks at."""
        return (KERNEL - 1) // 2 * sum(self.width_dilations)

    @property
    def receptive_field(self) -> int:
        """Columns that one pass of an estimator looks at, in samples."""
        return (2 * self.reach_columns + 1) * self.n_height

    @property
    def transformed_rows(self) -> int:
        """Rows that a flow changes."""
        return self.n_height if self.coupling == "all_rows" else self.n_height - 1

    @property
    def inverse_reach_columns(self) -> int:
        """Columns on either side that a column of the inverse can depend on: every row adds a pass."""
        return self.n_flow * self.transformed_rows * self.reach_columns

    # --- counts -------------------------------------------------------------------------------------

    def _estimator(self) -> tuple[int, int]:
        """Weights and biases of one, without its embedding's; and its convolutions' outputs."""
        r, L = self.res_channels, self.n_layer
        layer = _conv(2 * r, r, KERNEL**2) + _conv(2 * r, self.n_mels) + _conv(2 * r, r)
        return _conv(r, 1) + L * layer, r + L * 6 * r

    def _embedding(self) -> tuple[int, int, int]:
        """What tells the flows of a NanoFlow apart: weights, gains, and what synthesis keeps of it."""
        if self.kind != "nanoflow":
            return 0, 0, 0
        assert self.size_flow_embed is not None
        terms = self.n_layer * 2 * self.res_channels
        gains = terms + (self.n_flow if self.use_weightnorm_embed else 0)
        weights = terms * (self.size_flow_embed + 1) + self.n_flow * self.size_flow_embed
        return weights, gains, self.n_flow * terms

    def _own(self) -> int:
        """Projections and gates of all flows."""
        projection = _conv(2, self.res_channels) + (2 if self.coupling == "all_rows" else 0)
        gates = self.n_layer * self.res_channels if self.kind == "nanoflow" else 0
        return (projection + gates) * (1 if self.kind == "naive" else self.n_flow)

    @property
    def _upsampling(self) -> int:
        return sum(_conv(1, 1, UPSAMPLE_KERNEL_MELS * 2 * rate) for rate in UPSAMPLE_RATES)

    @property
    def _estimators(self) -> int:
        return 1 if self.shared else self.n_flow

    @property
    def num_parameters_plain(self) -> int:
        """Weight norms fused, embeddings as they are learned."""
        weights, _ = self._estimator()
        return self._estimators * weights + self._embedding()[0] + self._own() + self._upsampling

    @property
    def num_parameters_training(self) -> int:
        """With weight norms: a gain for every output of a normalised convolution."""
        _, gains = self._estimator()
        return (
            self.num_parameters_plain + self._estimators * gains + self._embedding()[1] + len(UPSAMPLE_RATES)
        )

    @property
    def num_parameters(self) -> int:
        """That synthesise: norms fused, the embedding replaced by its terms. The count of the table."""
        weights, _, terms = self._embedding()
        return self.num_parameters_plain - weights + terms

    # --- costs --------------------------------------------------------------------------------------

    def _macs(self) -> tuple[int, int, int]:
        """Of a position in one flow: all of it; the conditioning in it; the half that nothing uses."""
        r, L, M = self.res_channels, self.n_layer, self.n_mels
        whole = r + L * (2 * r * r * KERNEL**2 + 2 * r * M + 2 * r * r) + 2 * r
        return whole, L * 2 * r * M, r * r

    @property
    def _upsampling_macs(self) -> float:
        """For one sample; a transposed convolution computes two positions of its kernel for each output."""
        taps = UPSAMPLE_KERNEL_MELS * 2 * self.n_mels
        return taps + taps / UPSAMPLE_RATES[-1]

    @property
    def macs_per_sample(self) -> int:
        """Multiply-accumulates of the forward pass for one sample, zeros above the picture left out."""
        whole, _, unused = self._macs()
        passes = self.n_flow * (whole - unused - self._zero_macs())
        return round(passes * self.transformed_rows / self.n_height + self._upsampling_macs)

    @property
    def macs_per_sample_inverse(self) -> int:
        """The same of synthesis: row by row, with the conditioning of a shared estimator computed once."""
        _, conditioning, _ = self._macs()
        share = self.transformed_rows / self.n_height
        return round(self.macs_per_sample - (self.n_flow - self._estimators) * conditioning * share)

    def _zero_macs(self) -> float:
        """Of one position, the mean of what kernel rows above the picture would cost."""
        r, rows = self.res_channels, self.transformed_rows
        above = sum(min(rows, k * d) for d in self.height_dilations for k in range(1, KERNEL))
        return 2 * r * r * KERNEL * above / rows


def _conv(outputs: int, inputs: int, kernel: int = 1) -> int:
    return outputs * inputs * kernel + outputs


def check_flow(spec: FlowSpec, place: str) -> None:
    """Agreement between the numbers of a flow.

    Raises:
        UserError: the first that does not fit, at ``place``, and what would.
    """
    for name in ("n_mels", "n_height", "n_flow", "n_layer", "res_channels", "n_layer_per_cycle"):
        if (value := getattr(spec, name)) < 1:
            raise UserError(f"{place}.{name} (= {value}) must be at least 1.")
    if spec.n_height < 2:
        raise UserError(f"{place}.n_height (= {spec.n_height}) must be at least 2: a row needs one above it.")
    if spec.permutation == "bipartized" and spec.n_height % 2:
        raise UserError(
            f"{place}.n_height (= {spec.n_height}) must be even for permutation=bipartized, such as "
            f"{spec.n_height + 1}."
        )
    if spec.dilations_h is not None:
        _check_dilations(spec, spec.dilations_h, place)
    embedded = spec.size_flow_embed is not None and spec.size_flow_embed > 0
    if spec.kind == "nanoflow" and not embedded:
        raise UserError(
            f"{place}.size_flow_embed (= {spec.size_flow_embed}) must be at least 1 for a nanoflow, such "
            "as 512."
        )


def _check_dilations(spec: FlowSpec, dilations: tuple[int, ...], place: str) -> None:
    told = f"{place}.dilations_h (= [{','.join(map(str, dilations))}])"
    if len(dilations) != spec.n_layer:
        raise UserError(f"{told} must have as many entries as {place}.n_layer: {spec.n_layer}.")
    if min(dilations) < 1:
        raise UserError(f"{told}: every dilation must be at least 1.")


def check_samples(spec: FlowSpec, num_samples: int, name: str) -> None:
    """A length that makes whole columns.

    Raises:
        UserError: it does not, and the next ones that do.
    """
    h = spec.n_height
    if num_samples < 1 or num_samples % h:
        below = num_samples // h * h
        fitting = f"{below} or {below + h}" if below > 0 else str(h)
        raise UserError(f"{name} (= {num_samples} samples) must be a multiple of n_height {h}: {fitting}.")

"""The description of a WaveNet: every number that its shape depends on, and what follows.

Source: the WaveNet computation walkthrough of neural-amp-modeler; field names are those of a
``.nam`` file of version 0.7.0. Letters: C channels, B bottleneck, D condition size, R receptive
field.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.spec import ModelSpec

# Order of the sites in a file's weights; the C++ loader reads them in this order.
FILM_SITES = (
    "conv_pre_film",
    "conv_post_film",
    "input_mixin_pre_film",
    "input_mixin_post_film",
    "activation_pre_film",
    "activation_post_film",
    "layer1x1_post_film",
    "head1x1_post_film",
)
GATING_MODES = ("none", "gated", "blended")
SLICE_METHOD = "slice_channels_uniform"


@dataclass(frozen=True)
class FilmSpec:
    """A FiLM site: a 1x1 convolution of the condition gives a scale and, with ``shift``, an offset.

    Source: Perez et al. 2018, arXiv:1709.07871.
    """

    active: bool = False
    shift: bool = True
    groups: int = 1


@dataclass(frozen=True)
class Layer1x1Spec:
    """The 1x1 convolution from the bottleneck back to the channels."""

    active: bool = True
    groups: int = 1


@dataclass(frozen=True)
class Head1x1Spec:
    """The optional 1x1 convolution on a layer's way to the head."""

    active: bool = False
    out_channels: int = 1
    groups: int = 1


@dataclass(frozen=True)
class HeadSpec:
    """The convolution that turns an array's head sum into its output (head rechannel)."""

    out_channels: int
    kernel_size: int
    bias: bool
    dilation: int = 1


@dataclass(frozen=True)
class TopHeadSpec:
    """The optional stack after everything else: activation, convolution, activation, ...

    ``activation`` is written to a file as it is spelt: the runtime reads a plain name there.
    """

    channels: int
    activation: ActivationSpec
    out_channels: int
    kernel_sizes: tuple[int, ...]

    def conv_shapes(self, in_channels: int) -> list[tuple[int, int, int]]:
        """(in, out, kernel) of each convolution."""
        last = len(self.kernel_sizes) - 1
        shapes = []
        for i, k in enumerate(self.kernel_sizes):
            out = self.out_channels if i == last else self.channels
            shapes.append((in_channels, out, k))
            in_channels = out
        return shapes


@dataclass(frozen=True)
class LayerSpec:
    """What may differ from layer to layer within one array."""

    kernel_size: int
    dilation: int
    activation: ActivationSpec
    gating_mode: str = "none"
    secondary_activation: ActivationSpec | None = None

    @property
    def paired(self) -> bool:
        """Whether the convolution gives two halves, for gating or blending."""
        return self.gating_mode != "none"


@dataclass(frozen=True)
class SlimmableSpec:
    """Channel slicing of a layer array: the widths that a player may choose."""

    allowed_channels: tuple[int, ...] | None  # None: every width from 1 to C
    method: str = SLICE_METHOD

    def widths(self, channels: int) -> tuple[int, ...]:
        """The allowed widths, from small to large."""
        return self.allowed_channels or tuple(range(1, channels + 1))


@dataclass(frozen=True)
class LayerArraySpec:
    """One stack of layers with its rechannel and its head."""

    input_size: int
    condition_size: int
    channels: int
    bottleneck: int
    head: HeadSpec
    layers: tuple[LayerSpec, ...]
    groups_input: int = 1
    groups_input_mixin: int = 1
    layer1x1: Layer1x1Spec = Layer1x1Spec()
    head1x1: Head1x1Spec = Head1x1Spec()
    films: dict[str, FilmSpec] = field(default_factory=dict, hash=False)
    slimmable: SlimmableSpec | None = None

    def film(self, site: str) -> FilmSpec:
        """The FiLM at ``site``; inactive where none was given."""
        return self.films.get(site, FilmSpec())

    @property
    def head_in_channels(self) -> int:
        """Channels of the head sum: those of head1x1 where active, else the bottleneck."""
        return self.head1x1.out_channels if self.head1x1.active else self.bottleneck

    def mid_channels(self, layer: LayerSpec) -> int:
        """Output channels of a layer's dilated convolution."""
        return 2 * self.bottleneck if layer.paired else self.bottleneck

    def film_dim(self, site: str, layer: LayerSpec) -> int:
        """Channels that the FiLM at ``site`` modulates."""
        return {
            "conv_pre_film": self.channels,
            "input_mixin_pre_film": self.condition_size,
            "activation_post_film": self.bottleneck,
            "layer1x1_post_film": self.channels,
            "head1x1_post_film": self.head1x1.out_channels,
        }.get(site, self.mid_channels(layer))

    @property
    def receptive_field(self) -> int:
        """R of this array alone, in samples."""
        layers = sum((layer.kernel_size - 1) * layer.dilation for layer in self.layers)
        return 1 + layers + (self.head.kernel_size - 1) * self.head.dilation

    def conv_sizes(self) -> list[tuple[int, int]]:
        """(weights, biases) of every convolution; the weights are also its MACs per sample."""
        sizes = [(self.input_size * self.channels, 0)]
        for layer in self.layers:
            mid = self.mid_channels(layer)
            sizes.append((self.channels * mid * layer.kernel_size // self.groups_input, mid))
            sizes.append((self.condition_size * mid // self.groups_input_mixin, 0))
            if self.layer1x1.active:
                weights = self.bottleneck * self.channels // self.layer1x1.groups
                sizes.append((weights, self.channels))
            if self.head1x1.active:
                out = self.head1x1.out_channels
                sizes.append((self.bottleneck * out // self.head1x1.groups, out))
            for site in FILM_SITES:
                film = self.film(site)
                if film.active:
                    out = self.film_dim(site, layer) * (2 if film.shift else 1)
                    sizes.append((self.condition_size * out // film.groups, out))
        head = self.head
        weights = self.head_in_channels * head.out_channels * head.kernel_size
        sizes.append((weights, head.out_channels if head.bias else 0))
        return sizes


@dataclass(frozen=True)
class WaveNetSpec(ModelSpec):
    """A whole WaveNet."""

    layer_arrays: tuple[LayerArraySpec, ...]
    head_scale: float
    head: TopHeadSpec | None = None
    condition_dsp: ModelSpec | None = None

    architecture = "WaveNet"

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.head.out_channels if self.head else self.layer_arrays[-1].head.out_channels

    @property
    def receptive_field(self) -> int | None:
        """R in samples: how many inputs one output depends on; None if unbounded.

        R = 1 + sum of (R_array - 1) + (R_condition - 1) + sum of (k - 1) of the top-level head.
        """
        past = sum(array.receptive_field - 1 for array in self.layer_arrays)
        if self.head:
            past += sum(k - 1 for k in self.head.kernel_sizes)
        if self.condition_dsp is not None:
            own = self.condition_dsp.receptive_field  # asked once: it asks its own condition
            if own is None:
                return None
            past += own - 1
        return 1 + past

    def _conv_sizes(self) -> list[tuple[int, int]]:
        sizes = [size for array in self.layer_arrays for size in array.conv_sizes()]
        if self.head:
            shapes = self.head.conv_shapes(self.layer_arrays[-1].head.out_channels)
            sizes += [(cin * cout * k, cout) for cin, cout, k in shapes]
        return sizes

    @property
    def num_weights(self) -> int:
        """How many numbers ``weights`` of the file holds, the final head_scale included."""
        return sum(weights + biases for weights, biases in self._conv_sizes()) + 1

    @property
    def macs_per_sample(self) -> int:
        """Multiply-accumulates of all convolutions for one output sample."""
        macs = sum(weights for weights, _ in self._conv_sizes())
        return macs + (self.condition_dsp.macs_per_sample if self.condition_dsp else 0)

    @property
    def channels(self) -> list[int]:
        """The channels of each layer array."""
        return [array.channels for array in self.layer_arrays]

    @property
    def slimmable(self) -> SlimmableSpec | None:
        """The channel slicing, if any array has it."""
        return next((a.slimmable for a in self.layer_arrays if a.slimmable), None)

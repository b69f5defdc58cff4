"""Descriptions of the other architectures that a ``.nam`` file may hold.

They are played, and may serve as a WaveNet's condition; namexp does not train them yet.
"""

from __future__ import annotations

from dataclasses import dataclass

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.spec import ModelSpec


@dataclass(frozen=True)
class LinearSpec(ModelSpec):
    """An impulse response of ``num_taps`` samples."""

    num_taps: int
    bias: bool

    architecture = "Linear"
    out_channels = 1

    @property
    def receptive_field(self) -> int:
        """R in samples."""
        return self.num_taps

    @property
    def num_weights(self) -> int:
        """Numbers in ``weights``."""
        return self.num_taps + int(self.bias)

    @property
    def macs_per_sample(self) -> int:
        """Multiply-accumulates for one sample."""
        return self.num_taps


@dataclass(frozen=True)
class LstmSpec(ModelSpec):
    """A stack of LSTM layers with a linear head; its memory has no end."""

    input_size: int
    hidden_size: int
    num_layers: int

    architecture = "LSTM"
    out_channels = 1
    receptive_field = None

    @property
    def num_weights(self) -> int:
        """Numbers in ``weights``: per layer matrix, bias and the two initial states; the head."""
        H = self.hidden_size
        return self._matrices() + self.num_layers * (4 * H + 2 * H) + H + 1

    @property
    def macs_per_sample(self) -> int:
        """Multiply-accumulates of the matrices for one sample."""
        return self._matrices() + self.hidden_size

    def _matrices(self) -> int:
        """Entries of the matrices of all layers: 4 H rows each, of the input's and the state's columns."""
        H = self.hidden_size
        return 4 * H * (self.input_size + H) + (self.num_layers - 1) * 4 * H * (H + H)


@dataclass(frozen=True)
class ConvNetSpec(ModelSpec):
    """A stack of kernel-2 dilated convolutions with batch norm and a linear head."""

    channels: int
    dilations: tuple[int, ...]
    batchnorm: bool
    activation: ActivationSpec
    groups: int = 1

    architecture = "ConvNet"
    out_channels = 1

    @property
    def receptive_field(self) -> int:
        """R in samples."""
        return 1 + sum(self.dilations)

    def _conv_weights(self) -> int:
        C, n = self.channels, len(self.dilations)
        return 2 * C // self.groups + (n - 1) * 2 * C * C // self.groups

    @property
    def num_weights(self) -> int:
        """Numbers in ``weights``."""
        C, n = self.channels, len(self.dilations)
        per_block = 4 * C + 1 if self.batchnorm else C
        return self._conv_weights() + n * per_block + C + 1

    @property
    def macs_per_sample(self) -> int:
        """Multiply-accumulates for one sample."""
        return self._conv_weights() + self.channels


@dataclass(frozen=True)
class ContainerSpec(ModelSpec):
    """Several models behind one quality knob: the first with ``slim < max_value`` plays."""

    submodels: tuple[tuple[float, ModelSpec], ...]

    architecture = "SlimmableContainer"
    out_channels = 1

    @property
    def receptive_field(self) -> int | None:
        """The longest R of the submodels."""
        fields = [spec.receptive_field for _, spec in self.submodels]
        return None if any(r is None for r in fields) else max(r for r in fields if r is not None)

    @property
    def num_weights(self) -> int:
        """Numbers in all submodels together."""
        return sum(spec.num_weights for _, spec in self.submodels)

    @property
    def macs_per_sample(self) -> int:
        """Multiply-accumulates of the largest submodel: only one plays at a time."""
        return max(spec.macs_per_sample for _, spec in self.submodels)

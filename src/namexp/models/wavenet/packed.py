"""Several WaveNets of different size trained at once, independent of each other.

By the packed-training document a pack is one larger WaveNet whose weights are masked to blocks on
the diagonal; input and condition are shared. Only the blocks are parameters here: entries off the
diagonal do not exist, so nothing has to keep them at zero, no optimiser state is spent on them, and
a method that looks at a whole tensor (a norm, a factored moment) never mixes submodels.
``block_diagonal`` builds the larger network; tests prove both equal, in training too.
Letters: B batch, S submodels, L samples, R receptive field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.packing import Submodel, check_pack, packed_suffixes
from namexp.architectures.wavenet import HeadSpec, LayerArraySpec, WaveNetSpec
from namexp.models.network import Network
from namexp.models.wavenet.wavenet import WaveNet, transform_side_by_side


class PackedWaveNet(Network):
    """Row i of its output is submodel i's prediction for the same input."""

    def __init__(self, submodels: Sequence[Submodel]) -> None:
        """Build every submodel as if it stood alone: each block has its own fan-in.

        Raises:
            UserError: the submodels do not fit into one pack.
        """
        super().__init__()
        check_pack(submodels)
        self.names = tuple(submodel.name for submodel in submodels)
        self.submodels = nn.ModuleList(WaveNet(submodel.spec) for submodel in submodels)

    @property
    def spec(self) -> WaveNetSpec:
        """The description of the larger network that the pack amounts to."""
        return packed_spec([wavenet.spec for wavenet in self.wavenets()])

    @property
    def row_suffixes(self) -> tuple[str, ...]:
        """``_packed_0``, ``_packed_1``, ..."""
        return packed_suffixes(len(self.names))

    @property
    def row_names(self) -> tuple[str, ...]:
        """The submodels' names."""
        return self.names

    @property
    def members(self) -> tuple[WaveNet, ...]:
        """The submodels."""
        return tuple(self.wavenets())

    def alone(self, row: int) -> WaveNet:
        """Submodel ``row`` itself."""
        return self.wavenets()[row]

    def wavenets(self) -> list[WaveNet]:
        """The submodels, which share nothing."""
        return [wavenet for wavenet in self.submodels if isinstance(wavenet, WaveNet)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, L) to (B, S, L - R + 1)."""
        return torch.cat(transform_side_by_side(self.wavenets(), x[:, None], x[:, None]), dim=1)

    def row_parameters(self, row: int) -> list[nn.Parameter]:
        """The parameters of submodel ``row``."""
        return list(self.submodels[row].parameters())

    @torch.no_grad()
    def block_diagonal(self) -> tuple[WaveNet, list[Tensor]]:
        """The documented form: one larger WaveNet and a mask for each of its file tensors.

        Returns:
            A WaveNet with one output channel per submodel, whose weights hold the submodels as
            blocks and zero elsewhere, and masks that are 1 on the blocks.
        """
        wavenets = self.wavenets()
        large = WaveNet(self.spec)
        large.to(next(self.parameters()))
        masks = []
        for j, (whole, *parts) in enumerate(_aligned_tensors(large, wavenets)):
            mask = torch.zeros_like(whole)
            row = column = 0
            shared_input = whole.ndim == 3 and all(p.shape[1] == whole.shape[1] for p in parts)
            whole.zero_()
            for part in parts:
                rows = slice(row, row + part.shape[0])
                block: tuple[slice, ...] = (rows,)
                if part.ndim == 3 and not shared_input:
                    block = (rows, slice(column, column + part.shape[1]))
                    column += part.shape[1]
                whole[block] = part
                mask[block] = 1.0
                row += part.shape[0]
            assert row == whole.shape[0], f"file tensor {j} is not filled by its blocks"
            masks.append(mask)
        return large, masks


def _aligned_tensors(large: WaveNet, wavenets: Sequence[WaveNet]) -> Iterator[tuple[Tensor, ...]]:
    return zip(large.file_tensors(), *(w.file_tensors() for w in wavenets), strict=True)


def packed_spec(specs: Sequence[WaveNetSpec]) -> WaveNetSpec:
    """The larger WaveNet: channels, bottlenecks and heads add up; the condition is shared."""
    arrays = zip(*(spec.layer_arrays for spec in specs), strict=True)
    return replace(specs[0], layer_arrays=tuple(_packed_array(parts, i) for i, parts in enumerate(arrays)))


def _packed_array(parts: Sequence[LayerArraySpec], index: int) -> LayerArraySpec:
    first = parts[0]
    return replace(
        first,
        input_size=first.input_size if index == 0 else sum(p.input_size for p in parts),
        channels=sum(p.channels for p in parts),
        bottleneck=sum(p.bottleneck for p in parts),
        head=HeadSpec(sum(p.head.out_channels for p in parts), first.head.kernel_size, first.head.bias),
        head1x1=replace(first.head1x1, out_channels=sum(p.head1x1.out_channels for p in parts)),
        layers=tuple(
            replace(layer, activation=_packed_activation(parts, i)) for i, layer in enumerate(first.layers)
        ),
    )


def _packed_activation(parts: Sequence[LayerArraySpec], layer: int) -> ActivationSpec:
    """The shared activation; learned slopes stay with the channels of their submodel."""
    activation = parts[0].layers[layer].activation
    slopes: list[float] = []
    for part in parts:
        own = part.layers[layer].activation.slopes
        slopes += own if len(own) != 1 else own * part.bottleneck
    return replace(activation, slopes=tuple(slopes))

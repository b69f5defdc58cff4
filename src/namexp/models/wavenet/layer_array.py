"""A stack of layers between a rechannel and a head.

Letters: B batch, C channels, D condition size, H head channels, L samples, R receptive field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from torch import Tensor, nn

from namexp.architectures.wavenet import LayerArraySpec
from namexp.kernels.layer_array import ArrayInputs, layer_arrays
from namexp.models.wavenet.layer import Layer


class LayerArray(nn.Module):
    """Source: WaveNet computation walkthrough, "LayerArray Computation"."""

    def __init__(self, spec: LayerArraySpec) -> None:
        super().__init__()
        self._spec = spec
        self.rechannel = nn.Conv1d(spec.input_size, spec.channels, 1, bias=False)
        self.layers = nn.ModuleList(Layer(layer, spec) for layer in spec.layers)
        head = spec.head
        self.head_rechannel = nn.Conv1d(
            spec.head_in_channels,
            head.out_channels,
            head.kernel_size,
            dilation=head.dilation,
            bias=head.bias,
        )

    @property
    def spec(self) -> LayerArraySpec:
        """Its description, with learned slopes as they are now."""
        return replace(self._spec, layers=tuple(layer.spec for layer in self._layers()))

    def _layers(self) -> list[Layer]:
        return [layer for layer in self.layers if isinstance(layer, Layer)]

    def forward(
        self, x: Tensor, condition: Tensor, head_input: Tensor | None, *, residual: bool = True
    ) -> tuple[Tensor | None, Tensor]:
        """Compute the residual output and the head output with torch's own operations.

        Args:
            x: (B, input_size, L).
            condition: (B, D, at least L), aligned at the end.
            head_input: (B, H, at least L) from the array before, or None in the first.
            residual: False in the last array, whose residual nothing uses.

        Returns:
            (B, C, L - R + 1) or None, and (B, head.out_channels, L - R + 1).
        """
        past = sum((layer.kernel_size - 1) * layer.dilation for layer in self._spec.layers)
        head_length = x.shape[-1] - past
        x = self.rechannel(x)
        head = None if head_input is None else head_input[..., -head_length:]
        last = len(self.layers) - 1
        out: Tensor | None = x
        for i, layer in enumerate(self.layers):
            out, h = layer(out, condition, head_length=head_length, residual=residual or i < last)
            head = h if head is None else head + h
        assert head is not None, "an array has at least one layer"
        head = self.head_rechannel(head)
        return (None if out is None else out[..., -head.shape[-1] :]), head

    def convs(self) -> Iterator[nn.Conv1d]:
        """Its convolutions in the order of a file's weights."""
        yield self.rechannel
        for layer in self._layers():
            yield from layer.convs()
        yield self.head_rechannel

    def inputs(
        self, x: Tensor, condition: Tensor, head_input: Tensor | None, *, residual: bool
    ) -> ArrayInputs:
        """The arguments of ``forward`` with all that they are computed with."""
        parameters = [p for conv in self.convs() for p in (conv.weight, conv.bias) if p is not None]
        return ArrayInputs(self._spec, tuple(parameters), x, condition, head_input, residual)


def compute_side_by_side(
    arrays: Sequence[LayerArray],
    xs: Sequence[Tensor],
    condition: Tensor,
    head_inputs: Sequence[Tensor | None],
    *,
    residual: bool,
) -> list[tuple[Tensor | None, Tensor]]:
    """``forward`` of several arrays that do not depend on each other, by the fastest way there is."""
    own = list(zip(arrays, xs, head_inputs, strict=True))
    fast = layer_arrays([array.inputs(x, condition, head, residual=residual) for array, x, head in own])
    if fast is not None:
        return fast
    return [array(x, condition, head, residual=residual) for array, x, head in own]

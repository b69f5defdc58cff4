"""The ordinary WaveNet.

Source: WaveNet computation walkthrough, "WaveNet Processing".
Letters: B batch, L samples, R receptive field, D condition size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from namexp.architectures.wavenet import WaveNetSpec
from namexp.models.network import Network
from namexp.models.wavenet.layer_array import LayerArray, compute_side_by_side
from namexp.models.wavenet.top_head import TopHead


class WaveNet(Network):
    """Layer arrays in a row; the last one's head, scaled, is the output.

    ``head_scale`` is not learned. It is applied before the top-level head, as the runtime does.
    """

    def __init__(self, spec: WaveNetSpec, *, condition: Network | None = None) -> None:
        """Build it with torch's default initialisation.

        Args:
            spec: the description.
            condition: the network behind ``spec.condition_dsp``; None builds one, which works
                for a WaveNet only.
        """
        super().__init__()
        self._spec = spec
        self.head_scale = spec.head_scale
        if spec.condition_dsp is not None and condition is None:
            assert isinstance(spec.condition_dsp, WaveNetSpec), "other conditions are read from a file"
            condition = WaveNet(spec.condition_dsp)
        self.condition_dsp = condition
        self.layer_arrays = nn.ModuleList(LayerArray(array) for array in spec.layer_arrays)
        self.head = TopHead(spec.head, spec.layer_arrays[-1].head.out_channels) if spec.head else None

    @property
    def spec(self) -> WaveNetSpec:
        """Its description, with head scale and learned slopes as they are now."""
        return replace(
            self._spec,
            layer_arrays=tuple(array.spec for array in self.arrays()),
            head_scale=self.head_scale,
            condition_dsp=self.condition_dsp.spec if self.condition_dsp is not None else None,
        )

    def arrays(self) -> list[LayerArray]:
        """Its layer arrays, in the order of computation."""
        return [array for array in self.layer_arrays if isinstance(array, LayerArray)]

    def forward(self, x: Tensor) -> Tensor:
        """(B, L) to (B, 1, L - R + 1)."""
        return self.transform(x[:, None], self.condition(x))

    def condition(self, x: Tensor) -> Tensor:
        """(B, L) input to the condition: (B, D, L - R_condition + 1), or the input itself."""
        if self.condition_dsp is None:
            return x[:, None]
        if isinstance(self.condition_dsp, WaveNet):
            inner = self.condition_dsp
            return inner.transform(x[:, None], inner.condition(x))
        return self.condition_dsp(x)[:, -1:]  # the best row of a container

    def transform(self, x: Tensor, condition: Tensor) -> Tensor:
        """(B, 1, L) and a condition aligned with its end to (B, out_channels, ...)."""
        (output,) = transform_side_by_side([self], x, condition)
        return output

    # --- weights in the order of a file ---------------------------------------------------------

    def convs(self) -> Iterator[nn.Conv1d]:
        """Its convolutions in the order of a file's weights, without those of the condition."""
        for array in self.arrays():
            yield from array.convs()
        if self.head is not None:
            yield from self.head.file_convs()

    def file_tensors(self) -> Iterator[Tensor]:
        """Weights and biases in the order in which the C++ runtime reads them."""
        for conv in self.convs():
            yield conv.weight
            if conv.bias is not None:
                yield conv.bias

    def head_parameters(self) -> list[nn.Parameter]:
        """Of the last array's head, whose output ``head_scale`` multiplies."""
        return list(self.arrays()[-1].head_rechannel.parameters())

    @torch.no_grad()
    def export_weights(self) -> Tensor:
        """(N,) all weights in the order of a file; the last one is the head scale."""
        parts = [parameter.detach().reshape(-1) for parameter in self.file_tensors()]
        return torch.cat([*parts, parts[0].new_tensor([self.head_scale])])

    @torch.no_grad()
    def import_weights(self, weights: Tensor) -> None:
        """Take (N,) weights in the order of a file.

        The last one is the head scale that counts, as in the C++ runtime; where it is the float32
        of the head scale that the description gives, that exact value is kept.

        Raises:
            ValueError: N is not what the architecture needs.
        """
        needed = self._spec.num_weights
        if weights.numel() != needed:
            raise ValueError(f"the WaveNet has {needed} weights, got {weights.numel()}.")
        start = 0
        for parameter in self.file_tensors():
            stop = start + parameter.numel()
            parameter.copy_(weights[start:stop].reshape(parameter.shape))
            start = stop
        scale = weights[-1].item()
        as_float32 = torch.tensor(self.head_scale, dtype=torch.float32).item()
        if scale not in (self.head_scale, as_float32):
            self.head_scale = scale


def transform_side_by_side(wavenets: Sequence[WaveNet], x: Tensor, condition: Tensor) -> list[Tensor]:
    """``transform`` of WaveNets of one structure that share nothing but their input.

    Args:
        wavenets: with equally many layer arrays.
        x: (B, 1, L).
        condition: (B, D, up to L), aligned with its end.

    Returns:
        (B, out_channels, ...) of each.
    """
    outs = [x[..., -condition.shape[-1] :]] * len(wavenets)
    heads: list[Tensor | None] = [None] * len(wavenets)
    stacks = list(zip(*(wavenet.arrays() for wavenet in wavenets), strict=True))
    for i, arrays in enumerate(stacks):
        residual = i + 1 < len(stacks)
        computed = compute_side_by_side(arrays, outs, condition, heads, residual=residual)
        outs = [out for out, _ in computed if out is not None]
        heads = [head for _, head in computed]
    outputs = []
    for wavenet, head in zip(wavenets, heads, strict=True):
        assert head is not None, "a WaveNet has at least one layer array"
        scaled = wavenet.head_scale * head
        outputs.append(scaled if wavenet.head is None else wavenet.head(scaled))
    return outputs

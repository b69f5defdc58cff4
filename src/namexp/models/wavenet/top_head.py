"""The optional stack after the head scale: activation, convolution, activation, convolution, ..."""

from __future__ import annotations

from torch import Tensor, nn

from namexp.architectures.wavenet import TopHeadSpec
from namexp.models.wavenet.activations import build_activation


class TopHead(nn.Module):
    """(B, in, L) to (B, out_channels, L - sum of (k - 1)); the activation comes first."""

    def __init__(self, spec: TopHeadSpec, in_channels: int) -> None:
        super().__init__()
        shapes = spec.conv_shapes(in_channels)
        self.convs = nn.ModuleList(nn.Conv1d(*shape) for shape in shapes)
        self.activations = nn.ModuleList(build_activation(spec.activation) for _ in shapes)

    def file_convs(self) -> list[nn.Conv1d]:
        """Its convolutions in the order of a file's weights."""
        return [conv for conv in self.convs if isinstance(conv, nn.Conv1d)]

    def forward(self, x: Tensor) -> Tensor:
        """Apply every block in turn."""
        for activation, conv in zip(self.activations, self.convs, strict=True):
            x = conv(activation(x))
        return x

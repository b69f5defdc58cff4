"""Several networks behind one quality knob, as a SlimmableContainer plays them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from namexp.architectures.packing import packed_suffixes
from namexp.architectures.played import ContainerSpec
from namexp.models.network import Network


class Container(Network):
    """Row i of its output is submodel i. A nested container plays its best submodel."""

    def __init__(self, submodels: Sequence[tuple[float, Network]]) -> None:
        super().__init__()
        self.max_values = tuple(max_value for max_value, _ in submodels)
        self.submodels = nn.ModuleList(network for _, network in submodels)

    @property
    def spec(self) -> ContainerSpec:
        """Its description."""
        return ContainerSpec(tuple((v, n.spec) for v, n in zip(self.max_values, self.members, strict=True)))

    @property
    def row_names(self) -> tuple[str, ...]:
        """``submodel 0``, ``submodel 1``, ..."""
        return tuple(f"submodel {i}" for i in range(len(self.max_values)))

    @property
    def row_suffixes(self) -> tuple[str, ...]:
        """``_packed_0``, ``_packed_1``, ..."""
        return packed_suffixes(len(self.max_values))

    @property
    def members(self) -> tuple[Network, ...]:
        """The submodels."""
        return tuple(network for network in self.submodels if isinstance(network, Network))

    def alone(self, row: int) -> Network:
        """Submodel ``row`` itself."""
        return self.members[row]

    def selected(self, slim: float) -> int:
        """The submodel that plays at ``slim``: the first with slim < max_value, else the last."""
        for i, max_value in enumerate(self.max_values):
            if slim < max_value:
                return i
        return len(self.max_values) - 1

    def forward(self, x: Tensor) -> Tensor:
        """(B, L) to (B, S, L - R + 1) with the longest R of the submodels."""
        outputs = [network(x)[:, -1:] for network in self.submodels]
        length = min(y.shape[-1] for y in outputs)
        return torch.cat([y[..., -length:] for y in outputs], dim=1)

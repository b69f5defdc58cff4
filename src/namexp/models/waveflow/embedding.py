"""The embedding that tells the flows of a NanoFlow apart.

Letters: N flows, E its size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FlowEmbedding(nn.Module):
    """(N, E), orthogonal at first, or weight-normed row by row.

    The official code's orthogonal start has no effect where it is normed: that begins as N(0, 1).
    """

    def __init__(self, n_flow: int, size: int, *, normed: bool) -> None:
        super().__init__()
        self.normed = normed
        weight = torch.empty(n_flow, size).normal_()
        orthogonal = nn.init.orthogonal_(torch.empty(n_flow, size))
        if normed:
            self.weight_g = nn.Parameter(torch.norm_except_dim(weight, 2, 0))
            self.weight_v = nn.Parameter(weight)
        else:
            self.weight = nn.Parameter(orthogonal)

    def forward(self) -> Tensor:
        """All of it, its norm applied."""
        return torch._weight_norm(self.weight_v, self.weight_g, 0) if self.normed else self.weight

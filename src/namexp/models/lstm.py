"""A stack of LSTM layers with a linear head, starting from stored states.

Letters: B batch, L samples, H hidden size, N layers.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from namexp.architectures.played import LstmSpec
from namexp.models.network import Network

State = tuple[Tensor, Tensor]


class Lstm(Network):
    """c = sig(f) c + sig(i) tanh(g); h = sig(o) tanh(c); y = head . h + bias."""

    def __init__(self, spec: LstmSpec) -> None:
        super().__init__()
        self._spec = spec
        self.lstm = nn.LSTM(spec.input_size, spec.hidden_size, spec.num_layers, batch_first=True)
        # The file has one bias per gate; torch keeps two, whose sum counts.
        for layer in range(spec.num_layers):
            bias = getattr(self.lstm, f"bias_hh_l{layer}")
            nn.init.zeros_(bias)
            bias.requires_grad_(False)
        self.initial_hidden = nn.Parameter(torch.zeros(spec.num_layers, spec.hidden_size))
        self.initial_cell = nn.Parameter(torch.zeros(spec.num_layers, spec.hidden_size))
        self.head = nn.Linear(spec.hidden_size, 1)

    @property
    def spec(self) -> LstmSpec:
        """Its description."""
        return self._spec

    def initial_state(self, batch: int) -> State:
        """(N, B, H) hidden and cell states at the first sample."""
        return (
            self.initial_hidden[:, None].expand(-1, batch, -1).contiguous(),
            self.initial_cell[:, None].expand(-1, batch, -1).contiguous(),
        )

    def advance(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """(B, L) samples from ``state`` on: (B, 1, L) and the state after them."""
        hidden, state = self.lstm(x[..., None], state)
        return self.head(hidden).transpose(1, 2), state

    def forward(self, x: Tensor) -> Tensor:
        """(B, L) to (B, 1, L)."""
        return self.advance(x, self.initial_state(x.shape[0]))[0]

    @torch.no_grad()
    def import_weights(self, weights: Tensor) -> None:
        """Take the (N,) weights of a file: per layer [W | U], bias, states; then the head."""
        H, start = self._spec.hidden_size, 0

        def take(*shape: int) -> Tensor:
            nonlocal start
            count = int(torch.tensor(shape).prod())
            start += count
            return weights[start - count : start].reshape(shape)

        for layer in range(self._spec.num_layers):
            inputs = self._spec.input_size if layer == 0 else H
            matrix = take(4 * H, inputs + H)
            getattr(self.lstm, f"weight_ih_l{layer}").copy_(matrix[:, :inputs])
            getattr(self.lstm, f"weight_hh_l{layer}").copy_(matrix[:, inputs:])
            getattr(self.lstm, f"bias_ih_l{layer}").copy_(take(4 * H))
            self.initial_hidden[layer] = take(H)
            self.initial_cell[layer] = take(H)
        self.head.weight.copy_(take(1, H))
        self.head.bias.copy_(take(1))

    @torch.no_grad()
    def export_weights(self) -> Tensor:
        """(N,) weights in the order of a file."""
        parts = []
        for layer in range(self._spec.num_layers):
            w = getattr(self.lstm, f"weight_ih_l{layer}")
            u = getattr(self.lstm, f"weight_hh_l{layer}")
            parts += [
                torch.cat([w, u], dim=1).reshape(-1),
                getattr(self.lstm, f"bias_ih_l{layer}") + getattr(self.lstm, f"bias_hh_l{layer}"),
                self.initial_hidden[layer],
                self.initial_cell[layer],
            ]
        return torch.cat([*parts, self.head.weight.reshape(-1), self.head.bias])

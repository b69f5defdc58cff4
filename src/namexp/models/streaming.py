"""Playing audio of any length: in chunks, side by side, so that memory stays flat.

Letters: B batch, S rows, L samples, R receptive field, D condition size, N chunks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from namexp.models.container import Container
from namexp.models.lstm import Lstm
from namexp.models.network import Network
from namexp.models.wavenet.wavenet import WaveNet

CHUNK = 65536  # samples; longer ones fall out of the caches, shorter ones repeat more of their past
SHORTEST_CHUNK = 16384


class Player(ABC):
    """Plays audio that comes in blocks, as the C++ runtime does after a reset: from silence."""

    @abstractmethod
    def advance(self, x: Tensor) -> Tensor:
        """The next (B, L) samples to (B, S, L); how the audio is cut into blocks changes nothing."""


def player(network: Network, batch: int, *, chunk: int | None = None) -> Player:
    """A player of ``network`` for B recordings at once.

    Args:
        network: in evaluation mode.
        batch: B.
        chunk: samples computed at a time; None: what suits the machine. It changes no result.
    """
    if isinstance(network, Container):
        return _ContainerPlayer([player(n, batch, chunk=chunk) for n in network.members])
    if isinstance(network, Lstm):
        return _LstmPlayer(network, batch, chunk or CHUNK)
    if network.receptive_field is None:
        assert isinstance(network, WaveNet), "only a condition makes a WaveNet's memory endless"
        return _ConditionedPlayer(network, batch, chunk or CHUNK)
    return _FieldPlayer(network, batch, chunk)


@torch.inference_mode()
def play(network: Network, x: Tensor, *, chunk: int | None = None) -> Tensor:
    """Play (B, L) samples from silence: (B, S, L).

    Args:
        network: in evaluation mode, on the device of ``x``.
        x: the input.
        chunk: as in ``player``.
    """
    return player(network, x.shape[0], chunk=chunk).advance(x)


@torch.inference_mode()
def respond(network: Network, x: Tensor, *, chunk: int | None = None) -> Tensor:
    """The same numbers as ``network(x)``, (B, L) to (B, S, L - R + 1), in chunks.

    Raises:
        ValueError: ``x`` is shorter than the receptive field.
    """
    field = network.receptive_field
    assert field is not None, "a network without end has no valid part"
    if x.shape[-1] < field:
        raise ValueError(f"{x.shape[-1]} samples are fewer than the receptive field of {field}.")
    threads = torch.get_num_threads()
    length = x.shape[-1] - field + 1
    if chunk is None:
        chunk = min(CHUNK, max(SHORTEST_CHUNK, -(-length * x.shape[0] // threads)))
    together = max(1, threads // x.shape[0])  # as many chunks as keep all threads at work
    output = None
    for start in range(0, length, chunk * together):
        stop = min(length, start + chunk * together)
        y = _side_by_side(network, x[:, start : stop + field - 1], field, chunk)
        if output is None:
            output = y.new_empty(*y.shape[:2], length)
        output[..., start:stop] = y
    assert output is not None, "there is at least one sample"
    return output


def _side_by_side(network: Network, x: Tensor, field: int, chunk: int) -> Tensor:
    """(B, L) to (B, S, L - R + 1): whole chunks as one batch, then what is left."""
    B, whole = x.shape[0], (x.shape[-1] - field + 1) // chunk
    parts = []
    if whole:
        windows = x.unfold(-1, chunk + field - 1, chunk)[:, :whole].reshape(B * whole, -1)
        y = network(windows)  # (B * N, S, chunk)
        parts.append(y.unflatten(0, (B, whole)).transpose(1, 2).flatten(2))
    if x.shape[-1] - field + 1 > whole * chunk:
        parts.append(network(x[:, whole * chunk :]))
    return torch.cat(parts, dim=-1)


class _FieldPlayer(Player):
    """A network that remembers its receptive field."""

    def __init__(self, network: Network, batch: int, chunk: int | None) -> None:
        assert network.receptive_field is not None
        self._network, self._chunk = network, chunk
        self._field, self._batch = network.receptive_field, batch
        self._past: Tensor | None = None

    @torch.inference_mode()
    def advance(self, x: Tensor) -> Tensor:
        past = x.new_zeros(self._batch, self._field - 1) if self._past is None else self._past
        known = torch.cat([past, x], dim=-1)
        self._past = known[:, known.shape[-1] - self._field + 1 :].clone()
        return respond(self._network, known, chunk=self._chunk)


class _ContainerPlayer(Player):
    def __init__(self, players: list[Player]) -> None:
        self._players = players

    @torch.inference_mode()
    def advance(self, x: Tensor) -> Tensor:
        return torch.cat([player.advance(x)[:, -1:] for player in self._players], dim=1)


class _LstmPlayer(Player):
    def __init__(self, network: Lstm, batch: int, chunk: int) -> None:
        self._network, self._chunk = network, chunk
        self._state = network.initial_state(batch)

    @torch.inference_mode()
    def advance(self, x: Tensor) -> Tensor:
        outputs = []
        for part in x.split(self._chunk, dim=-1):
            y, self._state = self._network.advance(part, self._state)
            outputs.append(y)
        return torch.cat(outputs, dim=-1)


class _ConditionedPlayer(Player):
    """A WaveNet whose condition is recurrent.

    Before the first sample the condition is what its network makes of silence.
    """

    def __init__(self, network: WaveNet, batch: int, chunk: int) -> None:
        assert network.condition_dsp is not None
        self._network, self._chunk, self._batch = network, chunk, batch
        self._condition = player(network.condition_dsp, batch, chunk=chunk)
        self._num_past = sum(array.receptive_field - 1 for array in network.spec.layer_arrays)
        if network.spec.head is not None:
            self._num_past += sum(k - 1 for k in network.spec.head.kernel_sizes)
        self._past: tuple[Tensor, Tensor] | None = None  # of the input and of the condition

    @torch.inference_mode()
    def advance(self, x: Tensor) -> Tensor:
        if self._past is None:
            x, given = pad(x, (self._num_past, 0)), x.new_zeros(self._batch, 0)
            condition = self._condition.advance(x)
        else:
            given = self._past[0]
            condition = torch.cat([self._past[1], self._condition.advance(x)], dim=-1)
        known = torch.cat([given, x], dim=-1)
        first = known.shape[-1] - self._num_past
        self._past = known[:, first:].clone(), condition[..., first:].clone()
        return _in_chunks(
            lambda a, b: self._network.transform(known[:, None, a:b], condition[..., a:b]),
            known.shape[-1],
            self._num_past + 1,
            self._chunk,
        )


def _in_chunks(respond_to: Callable[[int, int], Tensor], length: int, field: int, chunk: int) -> Tensor:
    """Collect ``respond_to(start, stop)`` over overlapping ranges of ``length`` samples."""
    outputs = []
    for start in range(0, length - field + 1, chunk):
        outputs.append(respond_to(start, min(length, start + chunk + field - 1)))
    return torch.cat(outputs, dim=-1)

"""Playing recordings of any length: in chunks, so that memory stays flat.

Letters: B batch, S rows, L samples, R receptive field, D condition size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from namexp.models.container import Container
from namexp.models.lstm import Lstm
from namexp.models.network import Network
from namexp.models.wavenet.wavenet import WaveNet

CHUNK = 65536  # samples; 16k to 64k is where torch's convolutions are fastest


@torch.inference_mode()
def play(network: Network, x: Tensor, *, chunk: int = CHUNK) -> Tensor:
    """Play (B, L) samples from silence: (B, S, L), as the C++ runtime does after a reset.

    Args:
        network: in evaluation mode, on the device of ``x``.
        x: the input.
        chunk: samples computed at a time; the result does not depend on it.
    """
    if isinstance(network, Container):
        return torch.cat([play(n, x, chunk=chunk)[:, -1:] for n in network.networks()], dim=1)
    if isinstance(network, Lstm):
        return _play_lstm(network, x, chunk)
    if network.receptive_field is None:
        assert isinstance(network, WaveNet), "only a condition makes a WaveNet's memory endless"
        return _play_with_condition(network, x, chunk)
    padded = torch.nn.functional.pad(x, (network.receptive_field - 1, 0))
    return respond(network, padded, chunk=chunk)


@torch.inference_mode()
def respond(network: Network, x: Tensor, *, chunk: int = CHUNK) -> Tensor:
    """The same numbers as ``network(x)``, (B, L) to (B, S, L - R + 1), in chunks.

    Raises:
        ValueError: ``x`` is shorter than the receptive field.
    """
    field = network.receptive_field
    assert field is not None, "a network without end has no valid part"
    if x.shape[-1] < field:
        raise ValueError(f"{x.shape[-1]} samples are fewer than the receptive field of {field}.")
    return _in_chunks(lambda start, stop: network(x[:, start:stop]), x.shape[-1], field, chunk)


def _in_chunks(respond_to: Callable[[int, int], Tensor], length: int, field: int, chunk: int) -> Tensor:
    """Collect ``respond_to(start, stop)`` over overlapping ranges of ``length`` samples."""
    outputs = []
    for start in range(0, length - field + 1, chunk):
        outputs.append(respond_to(start, min(length, start + chunk + field - 1)))
    return torch.cat(outputs, dim=-1)


def _play_lstm(network: Lstm, x: Tensor, chunk: int) -> Tensor:
    state = network.initial_state(x.shape[0])
    outputs = []
    for part in x.split(chunk, dim=-1):
        y, state = network.advance(part, state)
        outputs.append(y)
    return torch.cat(outputs, dim=-1)


def _play_with_condition(network: WaveNet, x: Tensor, chunk: int) -> Tensor:
    """A WaveNet whose condition is recurrent: the condition of everything first, then the rest.

    Before the first sample the condition is what its network makes of silence.
    """
    assert network.condition_dsp is not None
    past = sum(array.receptive_field - 1 for array in network.spec.layer_arrays)
    if network.spec.head is not None:
        past += sum(k - 1 for k in network.spec.head.kernel_sizes)
    padded = torch.nn.functional.pad(x, (past, 0))
    condition = play(network.condition_dsp, padded, chunk=chunk)
    return _in_chunks(
        lambda a, b: network.transform(padded[:, None, a:b], condition[..., a:b]),
        padded.shape[-1],
        past + 1,
        chunk,
    )

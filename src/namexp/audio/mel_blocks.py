"""The log mel spectrogram of a long recording, piece by piece.

Letters: L samples, M mels, F frames.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from namexp.audio.mel import magnitude_of_padded, to_log_mel
from namexp.audio.mel_scale import MelSpec


def log_mel_blocks(audio: Tensor, spec: MelSpec, frames: int) -> Iterator[Tensor]:
    """(L,) samples to (M, up to ``frames``) each, together what ``log_mel`` gives of the whole.

    Raises:
        ValueError: too few samples.
    """
    total = spec.frames(audio.numel())
    P = spec.padding
    for begin in range(0, total, frames):
        end = min(total, begin + frames)
        first, last = begin * spec.hop_length - P, (end - 1) * spec.hop_length - P + spec.n_fft
        inside = first >= 0 and last <= audio.numel()
        piece = audio[first:last] if inside else _reflected(audio, first, last)
        yield to_log_mel(magnitude_of_padded(piece[None], spec), spec)[0]


def _reflected(audio: Tensor, first: int, last: int) -> Tensor:
    """``audio[first:last]`` where it goes on as its mirror image beyond either end."""
    index = torch.arange(first, last).abs()
    over = index - (audio.numel() - 1)
    index = torch.where(over > 0, audio.numel() - 1 - over, index)
    return audio[index]

"""A generator at work: whole clips, batches of unequal length, and a stream of frames in constant memory.

On the CPU in float32 a kernel plays, else torch: equal up to rounding. Whoever plays, what comes piece by
piece is what comes at once.
Letters: B clips, M mels, F frames, L samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from namexp.kernels.compiler import UnavailableError
from namexp.kernels.fallback import told_once
from namexp.kernels.hifigan import FastGenerator, Stream
from namexp.models.hifigan.generator import Generator


class Synthesizer:
    """Mel frames in, audio out.

    A frame's samples depend on ``context_frames`` frames on either side, so that some must be there before
    others are final. What comes in the end, ``finish`` tells.

    Attributes:
        latency_frames: frames that ``push`` holds back, at most.
        latency_samples: the same in samples.
    """

    def __init__(self, generator: Generator) -> None:
        """Play ``generator``, whose weights are fused, in evaluation mode."""
        assert not generator.normed, "weights are fused first"
        self._player = _player(generator)
        self.latency_frames = self._player.latency_frames
        self.latency_samples = self.latency_frames * generator.spec.hop_length
        self._stream: _Stream | None = None

    def whole(self, mel: Tensor) -> Tensor:
        """(B, M, F) to (B, L)."""
        return self._player.whole(mel)

    def batch(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """(M, F) each, of any lengths, to (L,) each: what every one gives alone."""
        return self._player.batch(mels)

    def push(self, mel: Tensor) -> Tensor:
        """The next (M, f) frames; the (n,) samples that are final now, perhaps none."""
        if self._stream is None:
            self._stream = self._player.stream()
        return self._stream.push(mel)

    def finish(self) -> Tensor:
        """The samples that are left; the next ``push`` begins another clip."""
        stream, self._stream = self._stream, None
        return torch.zeros(0) if stream is None else stream.finish()


class _Stream(ABC):
    """A clip of unknown length."""

    @abstractmethod
    def push(self, mel: Tensor) -> Tensor: ...

    @abstractmethod
    def finish(self) -> Tensor: ...


class _Player(ABC):
    """Who computes."""

    latency_frames: int

    @abstractmethod
    def whole(self, mel: Tensor) -> Tensor: ...

    @abstractmethod
    def batch(self, mels: Sequence[Tensor]) -> list[Tensor]: ...

    @abstractmethod
    def stream(self) -> _Stream: ...


def _player(generator: Generator) -> _Player:
    parameter = generator.conv_pre.bias
    if parameter.device.type == "cpu" and parameter.dtype == torch.float32:
        try:
            return _ByKernel(FastGenerator(generator.spec, generator.state_dict()))
        except UnavailableError as error:
            told_once("synthesis by HiFi-GAN", str(error))
    return _ByTorch(generator)


# --- the kernel -------------------------------------------------------------------------------------


class _ByKernel(_Player):
    def __init__(self, fast: FastGenerator) -> None:
        self._fast = fast
        self.latency_frames = fast.latency_frames

    def whole(self, mel: Tensor) -> Tensor:
        return self._fast(mel)[:, 0]

    def batch(self, mels: Sequence[Tensor]) -> list[Tensor]:
        return self._fast.clips(mels)

    def stream(self) -> _Stream:
        return _KernelStream(self._fast.stream())


class _KernelStream(_Stream):
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def push(self, mel: Tensor) -> Tensor:
        return self._stream.push(mel)

    def finish(self) -> Tensor:
        return self._stream.finish()


# --- torch ------------------------------------------------------------------------------------------


class _ByTorch(_Player):
    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self.latency_frames = generator.spec.context_frames

    @torch.inference_mode()
    def whole(self, mel: Tensor) -> Tensor:
        return self._generator(mel)[:, 0]

    def batch(self, mels: Sequence[Tensor]) -> list[Tensor]:
        return [self.whole(mel[None])[0] for mel in mels]

    def stream(self) -> _Stream:
        return _TorchStream(self, self._generator.spec.context_frames, self._generator.spec.hop_length)


class _TorchStream(_Stream):
    """Every piece is played with as many frames around it as its samples depend on."""

    def __init__(self, player: _ByTorch, context: int, hop: int) -> None:
        self._player, self._context, self._hop = player, context, hop
        self._frames: Tensor | None = None  # those that are still needed, on the left up to the context
        self._given = 0  # of them, whose samples were given out already

    def push(self, mel: Tensor) -> Tensor:
        frames = mel if self._frames is None else torch.cat([self._frames, mel], dim=1)
        return self._advance(frames, frames.shape[1] - self._context)

    def finish(self) -> Tensor:
        if self._frames is None:
            return torch.zeros(0)
        return self._advance(self._frames, self._frames.shape[1])

    def _advance(self, frames: Tensor, end: int) -> Tensor:
        """Samples of the frames from the first that was not given out to ``end``."""
        begin = self._given
        if end <= begin:
            self._frames = frames
            return frames.new_zeros(0)
        audio = self._player.whole(frames[None])[0, begin * self._hop : end * self._hop]
        first = max(0, end - self._context)
        self._frames, self._given = frames[:, first:], end - first
        return audio

"""HiFi-GAN generators on the CPU: fused, streamed, by minimal filtering.

All stages are computed together for some frames at a time, so that signals stay in the cache and long clips
need no more memory than short ones. Letters: B batch, M mels, F frames, L samples = F times the hop length.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from namexp.architectures.hifigan import GeneratorSpec
from namexp.kernels.compiler import load_once
from namexp.kernels.hifigan_filters import Vectors, source
from namexp.kernels.hifigan_plan import Plan
from namexp.kernels.memory import aligned, borrow, give_back, workspace

FLOAT = 4  # bytes


class _Place(ctypes.Structure):
    _fields_ = (("base", ctypes.c_int64), ("end", ctypes.c_int64))


class _Call(ctypes.Structure):
    """``Call`` of ``native/hifigan_stream.hpp``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("memory", "places", "mel")),
        *((name, ctypes.c_int64) for name in ("mel_stride", "frames", "begins", "ends")),
        ("audio", ctypes.c_void_p),
        ("samples", ctypes.c_int64),
    )


class FastGenerator:
    """A generator with its weights in the order of use."""

    def __init__(self, spec: GeneratorSpec, weights: Mapping[str, Tensor]) -> None:
        """Pack the weights.

        Args:
            spec: the generator.
            weights: fused, float32, by their official names: ``ups.0.weight`` of (in, out, kernel), ...

        Raises:
            UnavailableError: there is no compiler, or kernels are switched off.
        """
        self.spec = spec
        self._library = load_once("HiFi-GAN generators", source())
        self._plan = Plan(spec, weights, _vectors(self._library))

    @property
    def latency_frames(self) -> int:
        """At most so many frames wait in a stream for what comes after them.

        More than ``spec.context_frames``: whoever computes four positions at a time waits for the last.
        """
        return -(-self._plan.latency // self.spec.hop_length)

    def __call__(self, mel: Tensor, lengths: Sequence[int] | Tensor | None = None) -> Tensor:
        """Audio of whole clips.

        Args:
            mel: (B, M, F) float32.
            lengths: frames of each clip; what follows them is not read. None: all F.

        Returns:
            (B, 1, L), zeros after the end of a clip.
        """
        frames = mel.shape[-1]
        counts = [frames] * len(mel) if lengths is None else [int(n) for n in lengths]
        clips = [clip[:, :count] for clip, count in zip(mel, counts, strict=True)]
        make = torch.empty if lengths is None else torch.zeros
        audio = make(len(mel), 1, frames * self.spec.hop_length)
        self._fill(clips, list(audio[:, 0]))
        return audio

    def clips(self, mels: Sequence[Tensor]) -> list[Tensor]:
        """Audio (L,) of whole clips (M, F) of any lengths, several at a time."""
        outputs = [torch.empty(mel.shape[-1] * self.spec.hop_length) for mel in mels]
        self._fill(mels, outputs)
        return outputs

    def stream(self) -> Stream:
        """A clip of unknown length, frame by frame."""
        return Stream(self)

    def _fill(self, mels: Sequence[Tensor], outputs: Sequence[Tensor]) -> None:
        """Clips side by side where they are enough for all threads, else one by one with all threads."""
        threads = torch.get_num_threads()
        order = sorted((i for i, mel in enumerate(mels) if mel.shape[-1]), key=lambda i: -mels[i].shape[-1])
        sources = [self.checked(mels[i]) for i in order]
        calls = (_Call * len(order))(
            *(
                self.call(mel, outputs[i], begins=True, ends=True)
                for i, mel in zip(order, sources, strict=True)
            )
        )
        places = (_Place * (len(order) * self._plan.num_signals))()
        for i, call in enumerate(calls):
            call.places = ctypes.addressof(places) + i * self._plan.num_signals * ctypes.sizeof(_Place)
        side_by_side = len(order) >= 2 * threads
        signals, work = self._plan.head.memory * FLOAT, self._plan.head.workspace * FLOAT
        memory = borrow(threads * (signals + work) if side_by_side else signals + threads * work)
        start = aligned(memory)
        if side_by_side:
            self._library.namexp_apart(
                ctypes.byref(self._plan.head), calls, ctypes.c_int64(len(order)), ctypes.c_int64(threads),
                ctypes.c_void_p(start),
            )  # fmt: skip
        else:
            for call in calls:
                call.memory = start
                self.run(call, threads, start + signals)
        give_back(memory)

    def checked(self, mel: Tensor) -> Tensor:
        """(M, F) float32 with frames in line.

        Raises:
            ValueError: it is of another shape or precision.
        """
        n_mels, is_plain = self.spec.n_mels, mel.device.type == "cpu" and mel.dtype == torch.float32
        if mel.dim() != 2 or len(mel) != n_mels or not is_plain:
            found = f"{mel.dtype} of {tuple(mel.shape)} on {mel.device}"
            raise ValueError(f"a mel must be torch.float32 of ({n_mels}, frames) on the CPU, got {found}")
        return mel.detach() if mel.stride(-1) == 1 else mel.detach().contiguous()

    def call(self, mel: Tensor, audio: Tensor, *, begins: bool, ends: bool) -> _Call:
        """A call without its memory; it points into both tensors."""
        return _Call(
            mel=mel.data_ptr(), mel_stride=mel.stride(0), frames=mel.shape[-1], begins=begins, ends=ends,
            audio=audio.data_ptr(),
        )  # fmt: skip

    def run(self, call: _Call, threads: int, workspaces: int) -> None:
        """One call on ``threads`` threads."""
        self._library.namexp_together(
            ctypes.byref(self._plan.head),
            ctypes.byref(call),
            ctypes.c_int64(threads),
            ctypes.c_void_p(workspaces),
        )

    @property
    def plan(self) -> Plan:
        """What the library is told."""
        return self._plan


class Stream:
    """Frames in, audio out as soon as it is final; together it is that of the whole clip, bit for bit."""

    def __init__(self, generator: FastGenerator) -> None:
        self._generator = generator
        plan = generator.plan
        self._memory = torch.empty(plan.head.memory * FLOAT + 64, dtype=torch.uint8)
        self._places = (_Place * plan.num_signals)()
        self._frames = self._samples = 0
        self._finished = False

    def push(self, mel: Tensor) -> Tensor:
        """Take frames.

        Args:
            mel: (M, frames) float32.

        Returns:
            The samples that they settle.
        """
        if not mel.shape[-1]:
            return torch.empty(0)
        return self._run(mel, ends=False)

    def finish(self) -> Tensor:
        """The samples that are left; the stream is at its end."""
        if not self._frames:
            self._finished = True
            return torch.empty(0)
        return self._run(torch.empty(self._generator.spec.n_mels, 0), ends=True)

    def _run(self, mel: Tensor, *, ends: bool) -> Tensor:
        if self._finished:
            raise ValueError("the stream is at its end: begin another one")
        generator, threads = self._generator, torch.get_num_threads()
        source = generator.checked(mel)
        frames = self._frames + source.shape[-1]
        audio = torch.empty(frames * generator.spec.hop_length - self._samples)
        call = generator.call(source, audio, begins=not self._frames, ends=ends)
        call.memory = aligned(self._memory)
        call.places = ctypes.addressof(self._places)
        generator.run(call, threads, workspace(threads * generator.plan.head.workspace * FLOAT))
        self._frames, self._finished = frames, ends
        self._samples += call.samples
        return audio[: call.samples].clone() if call.samples < len(audio) else audio


def _vectors(library: ctypes.CDLL) -> Vectors:
    sizes = (ctypes.c_int64 * 3)()
    library.namexp_vectors(sizes)
    return Vectors(*sizes)

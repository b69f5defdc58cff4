"""WaveFlow and NanoFlow on the CPU, from noise to audio: row by row, fused, by minimal filtering.

Every row of a layer is convolved once. Long clips go through each flow some columns at a time, so that memory
does not grow with them. Letters: B batch, h rows, W columns, M mels, F frames, T samples = h W.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pad

from namexp.architectures.waveflow import FlowSpec
from namexp.kernels.compiler import load_once
from namexp.kernels.memory import aligned, borrow, give_back
from namexp.kernels.waveflow_plan import Call, FlowVocoderPlan

FLOAT = 4  # bytes
SOURCE = '#include "waveflow.hpp"\nNAMEXP_WAVEFLOW\n'
WHOLE_COLUMNS = 4096  # of a clip that is computed at once; longer ones need more memory so than in chunks
LEAST_CHUNK = 512  # columns
MOST_KEPT = 192 << 20  # bytes of conditioning that flows with one estimator hand on


class FastFlow:
    """The inverse of a flow vocoder, with its weights in the order of use."""

    def __init__(
        self, spec: FlowSpec, weights: Mapping[str, Tensor], *, whole_columns: int = WHOLE_COLUMNS
    ) -> None:
        """Pack the weights.

        Args:
            spec: the vocoder.
            weights: fused, float32, by their official names, and ``h_cache`` of a NanoFlow: (flows from the
                last to the first, L, 2r, 1, 1).
            whole_columns: of the longest clip that is computed at once.

        Raises:
            UnavailableError: there is no compiler, or kernels are switched off.
        """
        self.spec = spec
        self._library = load_once("flow vocoders", SOURCE)
        self._library.namexp_memory.restype = ctypes.c_int64
        self._whole_columns = whole_columns
        self._plan = FlowVocoderPlan(spec, weights, *_vectors(self._library))

    @torch.no_grad()
    def __call__(self, z: Tensor, mel: Tensor) -> Tensor:
        """Audio of noise.

        Args:
            z: (B, 1, h, W) float32.
            mel: (B, M, F) float32 log mels; frames beyond the audio condition its last samples.

        Returns:
            (B, T).

        Raises:
            ValueError: they are of other shapes or another precision, or the mel is too short.
        """
        self._check(z, mel)
        picture = torch.empty(len(z), *z.shape[2:])
        picture[:, list(self._plan.noise_rows)] = z[:, 0]
        for row, frames in zip(picture, mel, strict=True):
            if row.shape[-1]:
                self._run(row, frames)
        return picture.transpose(1, 2).reshape(len(z), -1)

    def _check(self, z: Tensor, mel: Tensor) -> None:
        spec = self.spec
        for name, tensor in (("z", z), ("mel", mel)):
            if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
                raise ValueError(
                    f"{name} must be torch.float32 on the CPU, got {tensor.dtype} on {tensor.device}"
                )
        if z.dim() != 4 or z.shape[1:3] != (1, spec.n_height):
            raise ValueError(f"z must be (batch, 1, {spec.n_height}, columns), got {tuple(z.shape)}")
        if mel.dim() != 3 or mel.shape[:2] != (len(z), spec.n_mels):
            raise ValueError(f"mel must be ({len(z)}, {spec.n_mels}, frames), got {tuple(mel.shape)}")
        if mel.shape[-1] * spec.hop_length < z.shape[2] * z.shape[3]:
            raise ValueError(
                f"a mel of {mel.shape[-1]} frames conditions {mel.shape[-1] * spec.hop_length} samples, got "
                f"noise for {z.shape[2] * z.shape[3]}"
            )

    def _run(self, picture: Tensor, mel: Tensor) -> None:
        """Noise (h, W) becomes audio in its place."""
        lanes, columns = self._plan.head.mel_row - self.spec.n_mels, picture.shape[-1]
        margin = _vectors(self._library)[0]
        frames = pad(mel.T, (margin, margin + lanes))
        call = Call(
            picture=picture.data_ptr(), mel=frames.data_ptr(), mel_stride=frames.stride(0),
            frames=len(frames), columns=columns, chunk=0 if columns <= self._whole_columns else self._chunk,
            cached=self._keeps(columns), threads=torch.get_num_threads(),
        )  # fmt: skip
        memory = borrow(self._library.namexp_memory(self._head, ctypes.byref(call)) * FLOAT)
        call.memory = aligned(memory)
        self._library.namexp_inverse(self._head, ctypes.byref(call))
        give_back(memory)

    @property
    def _head(self) -> object:
        return ctypes.byref(self._plan.head)

    @property
    def _chunk(self) -> int:
        """Columns of a step of a long clip: whole blocks of minimal filtering in every layer."""
        return max(LEAST_CHUNK, 4 * self.spec.width_dilations[-1])

    def _keeps(self, columns: int) -> bool:
        """Whether the conditioning is computed for the first flow only."""
        spec = self.spec
        numbers = spec.n_height * columns * spec.n_layer * 2 * self._plan.head.channels
        fits = columns <= self._whole_columns and numbers * FLOAT <= MOST_KEPT
        return spec.shared and spec.n_flow > 1 and fits


def _vectors(library: ctypes.CDLL) -> tuple[int, int]:
    """Lanes of a vector, vectors of a block of outputs."""
    sizes = (ctypes.c_int64 * 2)()
    library.namexp_vectors(sizes)
    return sizes[0], sizes[1]

"""The multi-resolution STFT loss in C++: its sums, and their gradients in the same pass.

Letters: B items, S submodels, L samples, R resolutions.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from namexp.kernels.compiler import UnavailableError, load, switched_off
from namexp.kernels.fallback import told_once
from namexp.kernels.texts import mrstft_text


class Resolution(NamedTuple):
    """One STFT as ``torch.stft`` takes it: centred frames, reflected borders, a Hann window."""

    n_fft: int
    hop_length: int
    win_length: int


def sums_or_none(
    prediction: Tensor, target: Tensor, resolutions: tuple[Resolution, ...], eps: float
) -> Tensor | None:
    """``MrstftKernel.sums``, or None where torch has to do it: for want of a compiler it says so once."""
    if switched_off() or not takes(prediction, target):
        return None
    kernel = _kernel(resolutions, eps)
    if isinstance(kernel, MrstftKernel):
        return kernel.sums(prediction, target)
    told_once("the MRSTFT loss", str(kernel))
    return None


def takes(prediction: Tensor, target: Tensor) -> bool:
    """Whether the kernel is for such tensors: float32 on the CPU, the target without gradient."""
    return not target.requires_grad and all(
        x.dtype == torch.float32 and x.device.type == "cpu" for x in (prediction, target)
    )


@cache
def _kernel(resolutions: tuple[Resolution, ...], eps: float) -> MrstftKernel | UnavailableError:
    """The compiled kernel, or why there is none: not tried again."""
    try:
        return MrstftKernel(resolutions, eps)
    except UnavailableError as error:
        return error


class MrstftKernel:
    """The loss's sums for fixed resolutions, with the same bits for any number of threads.

    Args:
        resolutions: of the STFTs; the sizes of the FFTs are powers of two.
        eps: the least power of a bin: smaller ones are clamped.

    Raises:
        UnavailableError: it cannot be compiled.
    """

    def __init__(self, resolutions: tuple[Resolution, ...], eps: float) -> None:
        self.num_resolutions = len(resolutions)
        self._eps = eps
        self._min_samples = max(r.n_fft for r in resolutions) // 2 + 1
        # float32, as in auraloss, whose values are to be met
        self._windows = torch.cat([torch.hann_window(r.win_length, dtype=torch.float32) for r in resolutions])
        (self._library,) = load({"the MRSTFT loss": mrstft_text(resolutions)})
        pointer, i64, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        self._library.row.argtypes = [i64]
        self._library.row.restype = i64
        self._library.sums.argtypes = [*[pointer] * 3, *[i64] * 3, ctypes.c_float, number, *[pointer] * 3]
        self._library.gradient.argtypes = [*[pointer] * 4, *[i64] * 3, number, pointer]
        self._library.sums.restype = self._library.gradient.restype = None

    def sums(self, prediction: Tensor, target: Tensor) -> Tensor:
        """What the loss consists of, differentiable once with respect to the prediction.

        x and y are the magnitudes of prediction and target, roots of clamped powers.

        Args:
            prediction: (B, S, L) float32 on the CPU; L is more than half of the longest FFT.
            target: (B, L), the same for all submodels.

        Returns:
            (S, 2R + 1): of each resolution the sum of (y - x)^2, then of each the sum of y^2, and the sum
            over items and resolutions of the mean over frames and bins of |log x - log y|.

        Raises:
            ValueError: the tensors are not such.

        Source: Yamamoto et al. 2020, arXiv:1910.11480, Eq. (5) to (7).
        """
        if not takes(prediction, target) or prediction.ndim != 3 or prediction.shape[::2] != target.shape:
            raise ValueError(
                "the MRSTFT kernel needs a prediction (B, S, L) and a target (B, L) without gradient, both "
                f"float32 on the CPU, got {_described(prediction)} and {_described(target)}."
            )
        if prediction.shape[-1] < self._min_samples:
            raise ValueError(
                f"these resolutions need at least {self._min_samples} samples, got {prediction.shape[-1]}."
            )
        result: Tensor = _Sums.apply(prediction, target, self)
        return result

    def _forward(
        self, prediction: Tensor, target: Tensor, *, gradients: bool
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The sums and, if wanted, the gradients of every error and of the distances, with borders."""
        B, S, L = prediction.shape
        prediction, target = prediction.contiguous(), target.contiguous()
        sums = torch.empty(S, 2 * self.num_resolutions + 1, dtype=torch.float64)
        p = q = None
        if gradients:
            row = self._library.row(L)
            p, q = torch.empty(self.num_resolutions, B, S, row), torch.empty(B, S, row)
        self._library.sums(
            *_addresses(prediction, target, self._windows), B, S, L, self._eps, torch.get_num_threads(),
            *_addresses(sums, p, q),
        )  # fmt: skip
        return sums.float(), p, q

    def _gradient(self, p: Tensor, q: Tensor, of_sums: Tensor, shape: torch.Size) -> Tensor:
        errors = of_sums[:, : self.num_resolutions].t().contiguous()
        distances = of_sums[:, -1].contiguous()
        gradient = torch.empty(shape)
        self._library.gradient(
            *_addresses(errors, distances, p, q), *shape, torch.get_num_threads(), gradient.data_ptr()
        )
        return gradient


def _described(x: Tensor) -> str:
    return f"{tuple(x.shape)} {x.dtype} on {x.device}" + (" with gradient" if x.requires_grad else "")


def _addresses(*tensors: Tensor | None) -> list[int | None]:
    return [None if tensor is None else tensor.data_ptr() for tensor in tensors]


class _Sums(Function):
    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor, kernel: MrstftKernel) -> Tensor:
        sums, p, q = kernel._forward(prediction, target, gradients=ctx.needs_input_grad[0])
        ctx.save_for_backward(p, q)
        ctx.kernel, ctx.shape = kernel, prediction.shape
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, of_sums: Tensor) -> tuple[Tensor, None, None]:
        p, q = ctx.saved_tensors
        return ctx.kernel._gradient(p, q, of_sums, ctx.shape), None, None

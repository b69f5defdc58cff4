"""Linear filters applied through the FFT: recursive filters without a loop over samples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Signal = NDArray[np.float64]
Response = Callable[[NDArray[np.float64]], NDArray[np.complex128]]


def apply_response(x: Signal, response: Response, *, tail: int) -> Signal:
    """Filter (L,) samples by a transfer function.

    Args:
        x: the signal.
        response: complex gain at angular frequencies in radians per sample, 0 to pi.
        tail: samples after which the impulse response has died away; they are appended for the
            computation, so that the end does not wrap around to the start.
    """
    n = _fast_length(x.size + tail)
    omega = 2.0 * np.pi * np.arange(n // 2 + 1) / n
    return np.fft.irfft(np.fft.rfft(x, n) * response(omega), n)[: x.size]


def _fast_length(n: int) -> int:
    """The next length whose FFT is fast: 2^a times 1, 3 or 5."""
    return min(m << max(0, (-(-n // m) - 1).bit_length()) for m in (1, 3, 5))


def one_pole_lowpass(cutoff_hz: float, sample_rate: float) -> Response:
    """H(z) = (1 - p) / (1 - p z^-1) with p = exp(-2 pi f / rate)."""
    p = np.exp(-2.0 * np.pi * cutoff_hz / sample_rate)

    def response(omega: NDArray[np.float64]) -> NDArray[np.complex128]:
        return (1.0 - p) / (1.0 - p * np.exp(-1j * omega))

    return response


def one_pole_highpass(cutoff_hz: float, sample_rate: float) -> Response:
    """1 minus the one-pole lowpass: 0 at DC, 2 p / (1 + p) (nearly 1) at half the rate."""
    lowpass = one_pole_lowpass(cutoff_hz, sample_rate)

    def response(omega: NDArray[np.float64]) -> NDArray[np.complex128]:
        return 1.0 - lowpass(omega)

    return response


def peaking(center_hz: float, gain_db: float, q: float, sample_rate: float) -> Response:
    """A peaking equaliser. Source: Bristow-Johnson, Cookbook formulae for audio EQ."""
    a = 10.0 ** (gain_db / 40.0)
    w0 = 2.0 * np.pi * center_hz / sample_rate
    alpha = np.sin(w0) / (2.0 * q)
    b = (1.0 + alpha * a, -2.0 * np.cos(w0), 1.0 - alpha * a)
    c = (1.0 + alpha / a, -2.0 * np.cos(w0), 1.0 - alpha / a)

    def response(omega: NDArray[np.float64]) -> NDArray[np.complex128]:
        z = np.exp(-1j * omega)
        return (b[0] + b[1] * z + b[2] * z * z) / (c[0] + c[1] * z + c[2] * z * z)

    return response


def change_rate(x: Signal, response: Response, *, up: int = 1, down: int = 1) -> Signal:
    """Filter (L,) samples and change their rate by ``up`` or ``down`` in one pair of FFTs.

    The band limit is ideal, and time is circular: leave silence at the end for the filter's tail.

    Args:
        x: the signal; its length must be a multiple of ``down``.
        response: at the higher of the two rates.
        up: factor by which the rate grows.
        down: factor by which it falls.
    """
    n = x.size * up // down
    spectrum = np.fft.rfft(x)
    keep = min(n, x.size) // 2 + 1
    result = np.zeros(n // 2 + 1, dtype=np.complex128)
    omega = 2.0 * np.pi * np.arange(keep) / max(n, x.size)
    result[:keep] = spectrum[:keep] * response(omega)
    return np.fft.irfft(result, n) * (n / x.size)


def chain(*responses: Response) -> Response:
    """One filter after the other."""

    def response(omega: NDArray[np.float64]) -> NDArray[np.complex128]:
        product = responses[0](omega)
        for other in responses[1:]:
            product = product * other(omega)
        return product

    return response


def envelope(x: Signal, cutoff_hz: float, sample_rate: float, *, block: int = 64) -> Signal:
    """One-pole lowpass of (L,) samples, followed block by block and interpolated between."""
    blocks = x[: x.size // block * block].reshape(-1, block).mean(axis=1)
    pole = float(np.exp(-2.0 * np.pi * cutoff_hz * block / sample_rate))
    followed = np.empty(blocks.size)
    state = 0.0
    for i, value in enumerate(blocks.tolist()):
        state = pole * state + (1.0 - pole) * value
        followed[i] = state
    ends = np.arange(1, blocks.size + 1) * float(block)
    return np.interp(np.arange(x.size), ends, followed)

"""Spectrograms of target, prediction and difference, one under the other.

Letters: L samples, F frames, K frequencies.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from namexp.atomic import write_atomically
from namexp.audio.wav import Samples

N_FFT = 2048
HOP_LENGTH = 512
RANGE_DB = 90.0  # below the loudest point of the target: what is fainter looks like silence


def draw_spectrograms(
    path: Path, *, target: Samples, prediction: Samples, sample_rate: int, title: str
) -> None:
    """Draw the PNG: one scale of colours for all three, so that the difference shows its true level.

    Args:
        path: of the picture.
        target: (L,).
        prediction: (L,) aligned with it.
        sample_rate: Hz.
        title: above all.
    """
    levels = [spectrogram_db(signal) for signal in (target, prediction, prediction - target)]
    top = float(levels[0].max())
    figure = Figure(figsize=(10, 9), layout="constrained")
    axes = figure.subplots(3, 1, sharex=True)
    extent = (0.0, target.size / sample_rate, 0.0, sample_rate / 2000.0)
    for ax, level, name in zip(axes, levels, ("target", "prediction", "prediction - target"), strict=True):
        image = ax.imshow(
            level, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=top - RANGE_DB, vmax=top,
            interpolation="nearest",
        )  # fmt: skip
        ax.set(title=name, ylabel="kHz")
    axes[-1].set_xlabel("s")
    figure.colorbar(image, ax=list(axes), label="dB")
    figure.suptitle(title)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=90, format="png"))


def spectrogram_db(signal: Samples) -> NDArray[np.float32]:
    """(K, F) power of Hann windows in dB; a full-scale sine on a bin's frequency has 0 dB."""
    if signal.size < N_FFT:
        signal = np.pad(signal, (0, N_FFT - signal.size))
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)  # periodic
    frames = np.lib.stride_tricks.sliding_window_view(signal, N_FFT)[::HOP_LENGTH]
    amplitude = np.abs(np.fft.rfft(frames * window)) * (2.0 / window.sum())
    level: NDArray[np.float32] = 20.0 * np.log10(amplitude.T + 1e-9)
    return level

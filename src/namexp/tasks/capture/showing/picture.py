"""The picture of one run: how it learned, what it plays, and where the rest of the error lies.

Letters: S submodels, L samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from namexp.atomic import write_atomically
from namexp.audio.wav import Samples
from namexp.runs.metrics import read_metrics

TARGET_COLOUR = "#222222"
COLOURS = ("#d1495b", "#00798c", "#edae49", "#66a182", "#8d6a9f", "#2e4057")
EXCERPT_SECONDS = 0.02
FFT = 4096


def draw_comparison(
    path: Path,
    *,
    target: Samples,
    predictions: Samples,
    sample_rate: int,
    submodels: Sequence[Mapping[str, Any]],
    metrics: Path,
) -> None:
    """Draw the PNG.

    Args:
        path: of the picture.
        target: (L,) of the first validation recording.
        predictions: (S, L) aligned with it.
        sample_rate: Hz.
        submodels: the summary's entries: name, ESR, ...
        metrics: metrics.csv.
    """
    figure = Figure(figsize=(12, 9), layout="constrained")
    axes = figure.subplots(2, 2)
    start = _median_block(target, int(EXCERPT_SECONDS * sample_rate))
    _draw_learning(axes[0, 0], metrics, submodels)
    _draw_excerpt(axes[0, 1], target, predictions, sample_rate, submodels, start)
    _draw_spectrum(axes[1, 0], target, predictions, sample_rate, submodels)
    _draw_error_over_time(axes[1, 1], target, predictions, sample_rate, submodels)
    figure.suptitle("   ".join(f"{s['name']}: ESR {_figure(s['ESR'])}" for s in submodels), fontsize=13)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=110, format="png"))


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _colour(row: int) -> str:
    return COLOURS[row % len(COLOURS)]


def _median_block(target: Samples, width: int) -> int:
    """Start of an excerpt where the target is at its median loudness: typical, not extreme."""
    if target.size <= width:
        return 0
    blocks = target[: target.size // width * width].reshape(-1, width)
    energy = (blocks.astype(np.float64) ** 2).sum(axis=1)
    sounding = np.flatnonzero(energy > 0.1 * energy.mean())
    return int(sounding[np.argsort(energy[sounding])[sounding.size // 2]]) * width


def _draw_learning(axes: Axes, metrics: Path, submodels: Sequence[Mapping[str, Any]]) -> None:
    rows = [row for row in read_metrics(metrics) if row.get("ESR")] if metrics.exists() else []
    for i, submodel in enumerate(submodels):
        key = submodel["metric_suffix"]
        points = [(int(row["epoch"]) + 1, float(row[f"ESR{key}"])) for row in rows if row.get(f"ESR{key}")]
        finite = [(x, y) for x, y in points if np.isfinite(y) and y > 0]
        if finite:
            x, y = zip(*finite, strict=True)
            axes.plot(x, y, color=_colour(i), label=submodel["name"], marker=".", markersize=4)
    if axes.lines:
        axes.set_yscale("log")
        axes.legend()
    axes.set(title="Validation ESR", xlabel="epoch")
    axes.grid(visible=True, which="both", alpha=0.25)


def _draw_excerpt(
    axes: Axes,
    target: Samples,
    predictions: Samples,
    sample_rate: int,
    submodels: Sequence[Mapping[str, Any]],
    start: int,
) -> None:
    stop = start + int(EXCERPT_SECONDS * sample_rate)
    milliseconds = 1000.0 * np.arange(target[start:stop].size) / sample_rate
    axes.plot(milliseconds, target[start:stop], color=TARGET_COLOUR, label="target", linewidth=2)
    for i, submodel in enumerate(submodels):
        axes.plot(
            milliseconds,
            predictions[i, start:stop],
            color=_colour(i),
            label=submodel["name"],
            linewidth=1,
        )
    axes.set(title=f"Waveform at {start / sample_rate:.2f} s of the validation part", xlabel="ms")
    axes.legend(loc="upper right")
    axes.grid(visible=True, alpha=0.25)


def _spectrum(signal: Samples) -> NDArray[np.float64]:
    """Mean power of Hann windows, in dB."""
    if signal.size < FFT:
        signal = np.pad(signal, (0, FFT - signal.size))
    frames = np.lib.stride_tricks.sliding_window_view(signal, FFT)[:: FFT // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT))) ** 2
    return 10.0 * np.log10(power.mean(axis=0) + 1e-12)


def _draw_spectrum(
    axes: Axes,
    target: Samples,
    predictions: Samples,
    sample_rate: int,
    submodels: Sequence[Mapping[str, Any]],
) -> None:
    frequencies = np.fft.rfftfreq(FFT, 1.0 / sample_rate)
    axes.plot(frequencies, _spectrum(target), color=TARGET_COLOUR, label="target", linewidth=2)
    for i, submodel in enumerate(submodels):
        error = predictions[i] - target
        axes.plot(frequencies, _spectrum(error), color=_colour(i), label=f"error of {submodel['name']}")
    axes.set_xscale("log")
    axes.set(title="Spectrum", xlabel="Hz", ylabel="dB", xlim=(30, sample_rate / 2))
    axes.legend()
    axes.grid(visible=True, which="both", alpha=0.25)


def _draw_error_over_time(
    axes: Axes,
    target: Samples,
    predictions: Samples,
    sample_rate: int,
    submodels: Sequence[Mapping[str, Any]],
) -> None:
    width = sample_rate // 10

    def levels(signal: Samples) -> NDArray[np.float64]:
        blocks = signal[: signal.size // width * width].reshape(-1, width).astype(np.float64)
        return 10.0 * np.log10((blocks**2).mean(axis=1) + 1e-12)

    if target.size >= width:
        seconds = (np.arange(target.size // width) + 0.5) * width / sample_rate
        axes.plot(seconds, levels(target), color=TARGET_COLOUR, label="target", linewidth=2)
        for i, submodel in enumerate(submodels):
            error = levels(predictions[i] - target)
            axes.plot(seconds, error, color=_colour(i), label=f"error of {submodel['name']}")
        axes.legend(loc="lower right")
    axes.set(title="Level over time", xlabel="s of the validation part", ylabel="dBFS")
    axes.grid(visible=True, alpha=0.25)

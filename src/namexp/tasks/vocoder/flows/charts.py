"""What a flow makes of a clip, drawn: its scales flow by flow, and whether its noise is white and normal.

Where a flow fails is seen here: a likelihood is one number, and noise that is not noise has a shape.
Letters: T samples, h rows, W columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from namexp.audio.mel import log_mel
from namexp.audio.mel_scale import MelSpec
from namexp.models.waveflow import WaveFlow
from namexp.models.waveflow.picture import permuted, unsqueeze
from namexp.tasks.vocoder.flows.likelihood import whole_length

SECONDS = 4.0  # of the clip: enough for a spectrum
REACH, BINS = 6.0, 60  # of the histogram, in standard deviations of the prior
WINDOW = 512  # samples of a periodogram

Chart = Mapping[str, Any]


@torch.no_grad()
def latent_charts(model: WaveFlow, audio: Tensor, mel: MelSpec, name: str) -> list[Chart]:
    """Charts of the beginning of a clip, as ``namexp.comparison.charts`` reads them.

    Args:
        model: in evaluation mode.
        audio: (T,) samples, at least one whole length.
        mel: of the conditioner.
        name: of the clip.
    """
    audio = audio[: round(SECONDS * mel.sample_rate)]
    audio = audio[: whole_length(audio.numel(), model)][None]
    found = model.details(audio, log_mel(audio, mel).to(audio.dtype))
    z = in_order(found.z, model)
    clip = f"{name}, {z.numel() / mel.sample_rate:.1f} s"
    charts = [_scales(found.log_s, clip), *_histograms(z, clip), _spectrum(z, mel.sample_rate, clip)]
    return [{key: _short(value) for key, value in chart.items()} for chart in charts]


def _short(value: Any) -> Any:
    """With as many digits as a screen shows: they lie in summary.json."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _short(own) for key, own in value.items()}
    return [_short(own) for own in value] if isinstance(value, list) else value


def in_order(z: Tensor, model: WaveFlow) -> Tensor:
    """(1, 1, h, W) noise as (T,), each number where the sample stands that it was made of."""
    order = list(range(model.spec.n_height))
    for flow in range(model.spec.n_flow):
        order = [order[row] for row in model.spec.permutation_of(flow)]
    back = sorted(range(len(order)), key=order.__getitem__)
    return unsqueeze(permuted(z, back))[0, 0]


def _scales(log_s: tuple[Tensor, ...], clip: str) -> Chart:
    """Mean, spread and extremes of every flow's log s: one that scales by nothing does nothing."""
    middle, spread, ends = [], [], []
    for i, values in enumerate((own.double() for own in log_s), 1):
        mean, std = float(values.mean()), float(values.std(correction=0))
        middle.append([i, mean])
        spread.append([i, mean - std, mean + std])
        ends.append([i, float(values.min()), float(values.max())])
    return {
        "title": "log s, flow by flow", "x": "flow", "y": "log s", "note": clip,
        "bands": {"min to max": ends, "mean ± std": spread}, "lines": {"mean": middle},
    }  # fmt: skip


def _histograms(z: Tensor, clip: str) -> list[Chart]:
    """Its density beside the normal's; once more by logarithms, where the tails are seen."""
    z = z.double()
    width = 2 * REACH / BINS
    counts = torch.histc(z, BINS, -REACH, REACH)
    places = [-REACH + (k + 0.5) * width for k in range(BINS)]
    bars = [[x, float(n) / (z.numel() * width)] for x, n in zip(places, counts, strict=True)]
    normal = [[x, math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)] for x in places]
    mean, std = float(z.mean()), float(z.std(correction=0))
    kurtosis = float(((z - mean) / max(std, 1e-12)).pow(4).mean()) - 3.0
    beyond = float((z.abs() > REACH).double().mean())
    note = f"{clip}: mean {mean:.3f}, standard deviation {std:.3f}, excess kurtosis {kurtosis:.2f}"
    note += f"; {beyond:.2%} lie beyond ±{REACH:g}" if beyond else ""
    seen = [point for point in bars if point[1] > 0]  # an empty bin has no logarithm
    shape = {"x": "z", "y": "density", "lines": {"Gaussian": normal}}
    return [
        {"title": "z against the Gaussian", **shape, "bars": {"z": bars}, "note": note},
        {"title": "z against the Gaussian, by logarithms", **shape, "bars": {"z": seen}, "log": True},
    ]


def _spectrum(z: Tensor, sample_rate: int, clip: str) -> Chart:
    """Power over frequency, against the white noise that the prior expects."""
    from scipy.signal import welch  # here, as it takes a second to import

    frequencies, power = welch(
        z.double().numpy(), fs=sample_rate, nperseg=min(WINDOW, z.numel()), detrend=False
    )
    line = [
        [float(f) / 1000.0, 10.0 * math.log10(max(float(p), 1e-12) * sample_rate / 2.0)]
        for f, p in zip(frequencies[1:-1], power[1:-1], strict=True)  # both ends are of another height
    ]
    return {
        "title": "Spectrum of z", "x": "kHz", "y": "dB", "note": clip,
        "lines": {"z": line}, "levels": {"white noise": 0.0},
    }  # fmt: skip

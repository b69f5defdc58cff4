"""Loudness and gain, as players use them.

Both are measured by the peer's formulas on a signal of our own (``audio.loudness_signal``).
"""

from __future__ import annotations

import datetime
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from namexp.audio.level import db
from namexp.audio.loudness_signal import loudness_signal
from namexp.models.network import Network
from namexp.models.streaming import play

NUM_LEVELS = 11


class Loudness(NamedTuple):
    """``loudness`` in dB and ``gain`` from 0 to 1; None where a silent network has neither."""

    loudness: float | None
    gain: float | None


@torch.inference_mode()
def measure_loudness(network: Network) -> list[Loudness]:
    """Measure every row of ``network``.

    loudness = 20 log10 rms(net(x)); gain compares the output levels at eleven input levels with a
    straight line: with y_k = rms(net(k/10 x)), max = 11 y_10 and min = max / 2,
    gain = clip((sum of y_k - min) / (max - min), 0, 1).
    Source: neural-amp-modeler, ``_loudness`` and ``_gain`` of its export.
    """
    parameter = next(network.parameters())
    signal = torch.from_numpy(loudness_signal()).to(parameter.device, parameter.dtype)
    levels = torch.linspace(0.0, 1.0, NUM_LEVELS, dtype=parameter.dtype, device=parameter.device)
    was_training = network.training
    network.eval()
    played = torch.cat([play(network, (g * signal)[None]) for g in levels])  # (11, S, L)
    network.train(was_training)
    y = played.double().pow(2).mean(dim=-1).sqrt()
    return [_from_levels(y[:, row]) for row in range(y.shape[1])]


def _from_levels(y: Tensor) -> Loudness:
    loudest = float(y[-1])
    if loudest == 0.0 or not math.isfinite(float(y.sum())):
        return Loudness(None, None)
    high = NUM_LEVELS * loudest
    low = 0.5 * high
    gain = (float(y.sum()) - low) / (high - low)
    return Loudness(db(loudest), min(1.0, max(0.0, gain)))


def date_now() -> dict[str, int]:
    """The present in the form that the file holds."""
    now = datetime.datetime.now()
    return {
        "year": now.year, "month": now.month, "day": now.day,
        "hour": now.hour, "minute": now.minute, "second": now.second,
    }  # fmt: skip


def metadata_of(
    loudness: Loudness, *, shift_db: float, user: dict[str, Any], training: dict[str, Any]
) -> dict[str, Any]:
    """The metadata of one model.

    Args:
        loudness: measured on the network as it was trained.
        shift_db: what undoing the normalisation adds to the loudness; the gain does not change.
        user: what only a person knows.
        training: where the model comes from.
    """
    metadata: dict[str, Any] = {"date": date_now()}
    if loudness.loudness is not None and loudness.gain is not None:
        metadata["loudness"] = loudness.loudness + shift_db
        metadata["gain"] = loudness.gain
    return {**metadata, **user, "training": training}

"""What a capture has achieved on its validation part.

Letters: S submodels, L samples.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch

from namexp.engine.task import Scores
from namexp.errors import UserError
from namexp.losses.spectral import Mrstft
from namexp.models.network import Network
from namexp.models.streaming import respond
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.capture.data.recordings import Recordings
from namexp.tasks.capture.metrics import VAL_LOSS_METRIC, recording_metrics
from namexp.tasks.capture.weights.exporting import container_thresholds

TIMED_BLOCK = 16384  # outputs, about a third of a second of audio
TIMED_SECONDS = 0.2


def check_scorable(config: CaptureConfig, recordings: Recordings) -> None:
    """The metric that selects the best checkpoint must exist on the validation part.

    Raises:
        UserError: it does not.
    """
    context = config.plan.receptive_field - 1
    shortest = min(part.target.size for part in recordings.validation) - context
    if config.loss.val_loss == "mrstft" and shortest < Mrstft.MIN_SAMPLES:
        raise UserError(
            f"loss.val_loss (= mrstft) needs {Mrstft.MIN_SAMPLES} scored samples and the validation part "
            f"has {shortest}; raise data.validation_seconds or use loss.val_loss=esr."
        )


def score(
    config: CaptureConfig, resolved: Mapping[str, Any], recordings: Recordings, network: Network
) -> Scores:
    """Metrics at the recording's level, speed, thresholds; shown are predictions of every validation part.

    Args:
        config: checked.
        resolved: the same as plain values.
        recordings: at the level of training, as are the (S, L) predictions.
        network: with its best weights.
    """
    R = config.plan.receptive_field
    inputs = [torch.from_numpy(part.input)[None] for part in recordings.validation]
    predictions = [respond(network, x)[0] for x in inputs]
    targets = [torch.from_numpy(part.target[R - 1 :]) for part in recordings.validation]
    metrics = recording_metrics(
        zip(predictions, targets, strict=True),
        scale=recordings.target_scale,
        val_loss=VAL_LOSS_METRIC[config.loss.val_loss],
    )
    thresholds = container_thresholds(
        config.plan, config.export.container_max_values, metrics["ESR"].tolist()
    )
    rows = [
        {"realtime_factor": round(factor, 2)}
        for factor in realtime_factors(network, recordings.sample_rate)
    ]  # fmt: skip
    for row, threshold in zip(rows, thresholds or [], strict=False):
        row["max_value"] = threshold
    return Scores(
        values=metrics,
        rows=rows,
        facts={
            "container_max_values": resolved["export"]["container_max_values"],
            "max_values": thresholds,
        },
        shown=predictions,
    )


def realtime_factors(network: Network, sample_rate: int) -> list[float]:
    """How many seconds of audio each size plays in a second of computation: above 1 is real time.

    Measured here and now, by namexp on one CPU thread: blocks of 16384 outputs, each computed with
    the R - 1 samples before it (which count as computation, not as audio), one after the other for
    about 0.2 s; the fastest block counts, as whatever else the machine does only slows. A plugin's
    runtime is another program: the factors compare sizes with each other, not with a plugin.

    Args:
        network: on the CPU, in evaluation mode.
        sample_rate: Hz.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        sizes = [network.alone(row) for row in range(len(network.row_suffixes))]
        return [TIMED_BLOCK / sample_rate / _block_seconds(size) for size in sizes]
    finally:
        torch.set_num_threads(threads)


def _block_seconds(network: Network) -> float:
    """Time that ``network`` takes for one block."""
    assert network.receptive_field is not None
    x = 0.1 * torch.sin(torch.arange(TIMED_BLOCK + network.receptive_field - 1.0))[None]
    fastest, begun = float("inf"), time.perf_counter()
    while time.perf_counter() - begun < TIMED_SECONDS:
        started = time.perf_counter()
        respond(network, x)
        fastest = min(fastest, time.perf_counter() - started)
    return fastest

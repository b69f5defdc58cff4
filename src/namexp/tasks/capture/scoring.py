"""What a training has achieved: every submodel's metrics, and the summary for comparisons.

Letters: S submodels, L samples.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from namexp.engine.checkpoint import BestWeights
from namexp.models.network import Network
from namexp.models.streaming import respond
from namexp.runs.provenance import git_state, versions
from namexp.schema.experiment import ExperimentConfig
from namexp.tasks.capture.data.recordings import Recordings
from namexp.tasks.capture.metrics import VAL_LOSS_METRIC, recording_metrics
from namexp.tasks.capture.weights.exporting import container_thresholds


def score(network: Network, recordings: Recordings) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Predictions of every validation recording and the (S,) metrics over all of them."""
    R = network.receptive_field
    assert R is not None
    inputs = [torch.from_numpy(part.input)[None] for part in recordings.validation]
    predictions = [respond(network, x)[0] for x in inputs]
    targets = [torch.from_numpy(part.target[R - 1 :]) for part in recordings.validation]
    return predictions, recording_metrics(zip(predictions, targets, strict=True))


TIMED_BLOCK = 16384  # outputs, about a third of a second of audio
TIMED_SECONDS = 0.2


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
        return [
            TIMED_BLOCK / sample_rate / _block_seconds(part)
            for part in map(network.alone, range(len(network.row_suffixes)))
        ]
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


def summarise(
    config: ExperimentConfig,
    resolved: Mapping[str, Any],
    recordings: Recordings,
    network: Network,
    best: list[BestWeights],
    scores: dict[str, Tensor],
    *,
    training_id: str,
    reused_from: str | None,
    seconds: float,
    epochs: int,
) -> dict[str, Any]:
    """The content of summary.json.

    Args:
        config: checked.
        resolved: the same as plain values.
        recordings: what was trained and validated on.
        network: with the best weights.
        best: where they come from.
        scores: (S,) values by metric.
        training_id: of the training.
        reused_from: where the training was taken from, relative to the run; None: it was done here.
        seconds: of training.
        epochs: that were finished.
    """
    val_metric = VAL_LOSS_METRIC[config.loss.val_loss]
    speeds = realtime_factors(network, recordings.sample_rate)
    submodels = []
    for i, (name, spec) in enumerate(config.plan.rows):
        own = best[min(i, len(best) - 1)]
        channels = spec.channels[0] if len(spec.channels) == 1 else spec.channels
        submodels.append(
            {
                "index": i,
                "name": name,
                "channels": channels,
                "parameters": spec.num_weights,
                "macs_per_sample": spec.macs_per_sample,
                "realtime_factor": round(speeds[i], 2),
                **{metric: float(values[i]) for metric, values in scores.items()},
                "val_loss": float(scores[val_metric][i]),
                "best_epoch": own.epoch,
                "metric_suffix": network.row_suffixes[i],
            }
        )
    return {
        "training_id": training_id,
        "reused_from": reused_from,
        "seed": config.seed,
        "receptive_field": config.plan.receptive_field,
        "sample_rate": recordings.sample_rate,
        "seconds_training": round(seconds, 3),
        "epochs": epochs,
        "threads": torch.get_num_threads(),
        "target_scale": recordings.target_scale,
        "submodels": submodels,
        "container_max_values": resolved["export"]["container_max_values"],
        "max_values": container_thresholds(
            config.plan, config.export.container_max_values, scores["ESR"].tolist()
        ),
        "audio_sha256": recordings.sha256,
        "versions": versions(),
        "git": git_state(),
    }

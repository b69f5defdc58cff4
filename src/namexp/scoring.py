"""What a training has achieved: every submodel's metrics, and the summary for comparisons.

Letters: S submodels, L samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from namexp.data.recordings import Recordings
from namexp.exporting import container_thresholds
from namexp.metrics import VAL_LOSS_METRIC, recording_metrics
from namexp.models.network import Network
from namexp.models.streaming import respond
from namexp.models.wavenet.slimmable import sliced_spec
from namexp.runs.provenance import git_state, versions
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.model import ModelPlan
from namexp.schema.wavenet import WaveNetSpec
from namexp.weights import BestWeights


def score(network: Network, recordings: Recordings) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Predictions of every validation recording and the (S,) metrics over all of them."""
    R = network.receptive_field
    assert R is not None
    inputs = [torch.from_numpy(part.input)[None] for part in recordings.validation]
    predictions = [respond(network, x)[0] for x in inputs]
    targets = [torch.from_numpy(part.target[R - 1 :]) for part in recordings.validation]
    return predictions, recording_metrics(zip(predictions, targets, strict=True))


def submodel_specs(plan: ModelPlan) -> list[tuple[str, WaveNetSpec]]:
    """Name and description of what each row of the output plays."""
    if plan.kind == "slimmable":
        assert plan.spec.slimmable is not None
        widths = plan.spec.slimmable.widths(plan.spec.channels[0])
        return [(f"channels_{w}", sliced_spec(plan.spec, w)) for w in widths]
    return [(submodel.name, submodel.spec) for submodel in plan.submodels]


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
    submodels = []
    for i, (name, spec) in enumerate(submodel_specs(config.plan)):
        own = best[min(i, len(best) - 1)]
        channels = spec.channels[0] if len(spec.channels) == 1 else spec.channels
        submodels.append(
            {
                "index": i,
                "name": name,
                "channels": channels,
                "parameters": spec.num_weights,
                "macs_per_sample": spec.macs_per_sample,
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

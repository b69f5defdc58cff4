"""What a finished capture looks and sounds like.

Letters: S submodels, L samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from namexp.audio.spectrogram import draw_spectrograms
from namexp.audio.wav import Samples
from namexp.engine.task import Shown
from namexp.engine.training import Training
from namexp.runs.listening import write_listening
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.capture.data.excerpt import Excerpt
from namexp.tasks.capture.data.recordings import Recordings
from namexp.tasks.capture.showing.picture import draw_comparison
from namexp.tasks.capture.showing.preview import submodel_clips
from namexp.tracking import keys


def show(
    training: Training[CaptureConfig, Recordings],
    predictions: Sequence[Tensor],
    summary: Mapping[str, Any],
    excerpt: Excerpt | None,
) -> Shown:
    """Draw and write what the callbacks group wants; what a tracker that listens gets besides.

    Args:
        training: with its layout.
        predictions: (S, L) of every validation recording, played by the exported weights.
        summary: the content of summary.json.
        excerpt: of the first recording, for a tracker that listens.
    """
    wanted, layout = training.config.callbacks, training.layout
    at_recording_level = (predictions[0] / training.material.target_scale).numpy()
    if wanted.plots:
        draw_comparison(
            layout.comparison,
            target=_scored_target(training),
            predictions=at_recording_level,
            sample_rate=training.material.sample_rate,
            submodels=summary["submodels"],
            metrics=layout.metrics,
        )
    if wanted.audio:
        write_listening(
            layout,
            target=_scored_target(training),
            predictions=at_recording_level,
            sample_rate=training.material.sample_rate,
        )
    if excerpt is None:
        return Shown()
    played = predictions[0][:, excerpt.stretch].numpy()
    names, suffixes = ([row[key] for row in summary["submodels"]] for key in ("name", "metric_suffix"))
    pictures = {keys.COMPARISON: layout.comparison} if layout.comparison.exists() else {}
    if wanted.plots:
        pictures |= _spectrograms(training, excerpt, played, names, suffixes)
    return Shown(submodel_clips(excerpt, played, suffixes, names), pictures)


def _scored_target(training: Training[CaptureConfig, Recordings]) -> Samples:
    """The first validation recording as it was recorded, from the first sample that is scored."""
    context = training.config.plan.receptive_field - 1
    return training.material.validation[0].target[context:] / training.material.target_scale


def _spectrograms(
    training: Training[CaptureConfig, Recordings],
    excerpt: Excerpt,
    played: Samples,
    names: Sequence[str],
    suffixes: Sequence[str],
) -> dict[str, Path]:
    """Pictures by key; none of a prediction that is not finite."""
    pictures = {}
    for row, suffix, name in zip(played, suffixes, names, strict=True):
        if not np.isfinite(row).all():
            continue
        path = training.layout.spectrogram(suffix)
        draw_spectrograms(
            path,
            target=excerpt.target / excerpt.target_scale,
            prediction=row / excerpt.target_scale,
            sample_rate=excerpt.sample_rate,
            title=name,
        )
        pictures[keys.spectrogram(suffix)] = path
    return pictures

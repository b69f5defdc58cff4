"""The listening material of a run: what should be heard and what every size plays.

Letters: S submodels, L samples.
"""

from __future__ import annotations

import numpy as np

from namexp.audio.wav import Samples, write_flac
from namexp.runs.layout import RunLayout

SECONDS = 12.0


def write_listening(run: RunLayout, *, target: Samples, predictions: Samples, sample_rate: int) -> None:
    """Write ``audio/target.flac`` and ``audio/prediction_<i>.flac``, 24 bits, at most 12 s.

    Where one of them would clip, all are turned down by the same factor: they stay comparable, and
    so does the error's share. Nothing is written where a prediction is not finite.

    Args:
        run: the run directory.
        target: (L,) of the scored part, at the level of the recording.
        predictions: (S, L) aligned with it.
        sample_rate: Hz.
    """
    length = round(SECONDS * sample_rate)
    rows = np.concatenate([target[None, :length], predictions[:, :length]])
    peak = float(np.abs(rows).max(initial=0.0))
    if not np.isfinite(peak):
        return
    rows = rows / max(1.0, peak)
    paths = [run.audio_target, *(run.audio_prediction(i) for i in range(len(predictions)))]
    for path, row in zip(paths, rows, strict=True):
        write_flac(path, row, sample_rate)

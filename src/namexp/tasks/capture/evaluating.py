"""What a model achieves on a recording that it may never have seen.

Letters: L samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namexp.audio.wav import Recording, read_wav
from namexp.errors import UserError
from namexp.tasks.capture.metrics import recording_metrics
from namexp.tasks.capture.weights.playable import Playable, load_playable


def evaluate_files(
    model: Path, input: Path, target: Path, *, slim: float | None = None, delay: int = 0
) -> list[dict[str, Any]]:
    """The metrics of every size, or of the one that plays at ``slim``, with its ``index``.

    As in training, the first R - 1 samples are context and are not scored.

    Args:
        model: a ``.nam``, a checkpoint or a run directory.
        input: what goes into it.
        target: what it should answer, at the level of the recording.
        slim: position of the quality knob; None: every size.
        delay: samples the target lags behind the input.

    Raises:
        UserError: unreadable, other rates, too short, or silent.
    """
    playable = load_playable(model)
    recordings = read_wav(input), read_wav(target)
    _check_rates(playable, model, dict(zip((input, target), recordings, strict=True)))
    rows = range(playable.num_sizes)
    if slim is not None:
        row = playable.selected(slim)
        rows = range(row, row + 1)
    x, y = (torch.from_numpy(recording.samples) for recording in recordings)
    context = (playable.network.receptive_field or 1) - 1
    x, y = _aligned(x, y, delay, context, target)
    played = playable.play(x)[list(rows)]
    metrics = recording_metrics([(played[:, context:], y[context:])])
    return [
        {"index": index, **{name: float(values[i]) for name, values in metrics.items()}}
        for i, index in enumerate(rows)
    ]


def _check_rates(playable: Playable, model: Path, recordings: dict[Path, Recording]) -> None:
    rates: dict[Path, float] = {path: recording.sample_rate for path, recording in recordings.items()}
    if playable.sample_rate:
        rates[model] = playable.sample_rate
    if len(set(rates.values())) > 1:
        shown = ", ".join(f"{path}: {rate:g} Hz" for path, rate in rates.items())
        raise UserError(f"the sample rates differ ({shown}); convert them to one rate.")


def _aligned(x: Tensor, y: Tensor, delay: int, context: int, target: Path) -> tuple[Tensor, Tensor]:
    """(L,) each, from the same moment on."""
    length = min(x.numel(), y.numel() - delay) if delay >= 0 else min(x.numel() + delay, y.numel())
    if length <= context:
        raise UserError(
            f"{target}: {max(0, length)} samples are left to score at --delay {delay}, and the model needs "
            f"more than its receptive field of {context + 1}."
        )
    first_x, first_y = max(0, -delay), max(0, delay)
    x, y = x[first_x : first_x + length], y[first_y : first_y + length]
    if not torch.any(y[context:]):
        raise UserError(f"{target}: is silent, so ESR is undefined; check the recording.")
    return x, y

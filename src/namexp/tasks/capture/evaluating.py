"""What a model achieves on a recording that it may never have seen.

Letters: L samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from namexp.audio.wav import Recording, read_wav
from namexp.errors import UserError
from namexp.tasks.capture.data.aligning import Part, aligned
from namexp.tasks.capture.data.sounding import require_sound
from namexp.tasks.capture.metrics import recording_metrics
from namexp.tasks.capture.weights.playable import Playable, load_playable


def evaluate_files(
    model: Path,
    input: Path,
    target: Path,
    *,
    slim: float | None = None,
    delay: int = 0,
    allow_unequal_lengths: bool = False,
) -> list[dict[str, Any]]:
    """The metrics of every size, or of the one that plays at ``slim``, with its ``index``.

    As in training, the first R - 1 samples are context and are not scored, and lengths and silence are
    treated alike.

    Args:
        model: a ``.nam``, a checkpoint or a run directory.
        input: what goes into it.
        target: what it should answer, at the level of the recording.
        slim: position of the quality knob; None: every size.
        delay: samples the target lags behind the input.
        allow_unequal_lengths: cut to the shorter one, however different they are.

    Raises:
        UserError: unreadable, lossy (the target), other rates, other lengths, too short, or silent.
    """
    playable = load_playable(model)
    recordings = read_wav(input, lossy="noticed"), read_wav(target)
    _check_rates(playable, model, dict(zip((input, target), recordings, strict=True)))
    rows = range(playable.num_sizes)
    if slim is not None:
        row = playable.selected(slim)
        rows = range(row, row + 1)
    context = (playable.network.receptive_field or 1) - 1
    part = aligned(
        *recordings,
        delay=delay,
        names=(str(input), str(target)),
        allow_unequal=allow_unequal_lengths,
        settings=("--delay", "--allow-unequal-lengths"),
    )
    _check_scored(part, context, input, target)
    x, y = torch.from_numpy(part.input), torch.from_numpy(part.target)
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


def _check_scored(part: Part, context: int, input: Path, target: Path) -> None:
    """There must be something to score, and it must sound."""
    if part.target.size <= context:
        raise UserError(
            f"{target}: {part.target.size} samples are left to score, and the model needs more than its "
            f"receptive field of {context + 1}."
        )
    for samples, path in zip(part, (input, target), strict=True):
        require_sound(samples, str(path))
        require_sound(samples[context:], str(path), part="what is scored of it ")

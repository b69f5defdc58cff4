"""Mel spectrograms that lie in files beside the clips: those of an acoustic model, for fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from namexp.audio.mel_scale import MelSpec
from namexp.data.utterances import Utterance, each
from namexp.errors import UserError
from namexp.tasks.vocoder.mels import read_mel

SPARE_FRAMES = 2  # that a mel may have more or less than its clip: padding at the ends differs


def with_mels(utterances: Sequence[Utterance], directory: Path, mel: MelSpec) -> list[Utterance]:
    """Every clip with its ``<clip>.npy``, all of them read and checked.

    Raises:
        UserError: one is missing, cannot be used, is not as long as its clip, or belongs to two clips.
    """
    if not directory.is_dir():
        raise UserError(f"data.mels (= {directory}): no such directory.")
    owner: dict[str, str] = {}
    found = []
    for utterance in utterances:
        file = _file(utterance.name, directory)
        other = owner.setdefault(str(file), utterance.name)
        if other != utterance.name:
            raise UserError(
                f"{file}: is the mel of two clips, {other} and {utterance.name}; name them apart."
            )
        found.append(utterance._replace(mel=str(file)))
    list(each(lambda utterance: _check(utterance, mel), found, "reading stored mels"))
    return found


def _file(name: str, directory: Path) -> Path:
    """The clip's mel by its name, or by its last part as the official code looks for it."""
    for candidate in (name, Path(name).name):
        path = directory / f"{candidate}.npy"
        if path.is_file():
            return path
    raise UserError(
        f"{directory / name}.npy: no such file; data.mels must hold one for every clip, made by the acoustic "
        "model with the durations of the recording."
    )


def _check(utterance: Utterance, mel: MelSpec) -> None:
    frames = read_mel(str(utterance.mel), mel.n_mels).shape[1]
    expected = utterance.num_samples // mel.hop_length
    if abs(frames - expected) > SPARE_FRAMES:
        raise UserError(
            f"{utterance.mel}: has {frames} frames and the clip of {utterance.num_samples} samples has "
            f"{expected} of {mel.hop_length}; make it with the durations of the recording (teacher forcing)."
        )

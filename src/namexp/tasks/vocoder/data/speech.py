"""The clips that a vocoder learns from: found, parted and checked before anything is learned."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namexp.audio.mel_scale import MelSpec
from namexp.audio.speech import embedded_speech
from namexp.audio.wav import Samples, sha256_of
from namexp.data.utterances import Utterance, digest_of_files
from namexp.engine.training import Material
from namexp.errors import UserError
from namexp.tasks.vocoder.config.data import SpeechData
from namexp.tasks.vocoder.data.finding import find_clips, least_samples
from namexp.tasks.vocoder.data.stored_mels import with_mels


@dataclass(frozen=True)
class Speech(Material):
    """Everything that one training hears: where it lies, no samples.

    Attributes:
        train: clips to cut segments from.
        validation: clips that are scored, whole.
        mel: what the input of the model is; its rate is that of all clips.
        peak_normalized: whether every clip is brought to one peak.
        sha256: of the content of each part's files, and of the stored mels, in their order.
        embedded: whether this is the set that namexp synthesises.
        source: what an error calls it.
    """

    train: tuple[Utterance, ...]
    validation: tuple[Utterance, ...]
    mel: MelSpec
    peak_normalized: bool
    sha256: dict[str, list[str]]
    embedded: bool
    source: str = "data.dir"

    @property
    def sample_rate(self) -> int:
        """Hz, of all clips."""
        return self.mel.sample_rate

    @property
    def fine_tuning(self) -> bool:
        """Whether the input mels come from files."""
        return self.train[0].mel is not None

    @property
    def facts(self) -> dict[str, Any]:
        """Rate, mel and how much there is."""
        return {
            "sample_rate": self.sample_rate,
            "mel": self.mel._asdict(),
            "train_clips": len(self.train),
            "train_seconds": self.seconds(self.train),
            "validation_clips": len(self.validation),
            "validation_seconds": self.seconds(self.validation),
            "peak_normalized": self.peak_normalized,
        }

    @property
    def tags(self) -> tuple[str, ...]:
        """What a tracker may be asked for."""
        return ("embedded",) * self.embedded + ("fine_tuning",) * self.fine_tuning

    def seconds(self, utterances: Sequence[Utterance]) -> float:
        """That clips last together."""
        return round(sum(utterance.num_samples for utterance in utterances) / self.sample_rate, 3)


def load_speech(config: SpeechData, mel: MelSpec) -> Speech:
    """Find, part and check the clips of the data group.

    Args:
        config: the data group.
        mel: of the model's input; the clips must have its rate.

    Raises:
        UserError: a directory, a list, a clip or a number of clips that cannot be used, by its name.
    """
    check_segment(config.segment_size, mel)
    if config.embedded:
        return _embedded(config, mel)
    assert config.dir is not None, "else it is embedded"
    train, validation = find_clips(config, mel)
    if config.mels is not None:
        directory = Path(config.mels)
        train, validation = (with_mels(part, directory, mel) for part in (train, validation))
    sha256 = {
        "train": [digest_of_files([Path(str(u.path)) for u in train], "reading clips to train on")],
        "validation": [digest_of_files([Path(str(u.path)) for u in validation], "reading clips to validate")],
    }
    if config.mels is not None:
        mels = [Path(str(u.mel)) for u in (*train, *validation)]
        sha256["mels"] = [digest_of_files(mels, "reading stored mels")]
    return Speech(
        tuple(train),
        tuple(validation),
        mel,
        config.peak_normalized,
        sha256,
        embedded=False,
        source=config.dir,
    )


def check_segment(segment_size: int, mel: MelSpec) -> None:
    """A segment must be whole frames, and long enough to make one of.

    Raises:
        UserError: it is not.
    """
    hop = mel.hop_length
    if segment_size % hop:
        lower = segment_size // hop * hop
        near = f"{lower} or {lower + hop}" if lower else str(hop)
        raise UserError(
            f"data.segment_size (= {segment_size}) must be a multiple of the model's hop of {hop} samples, "
            f"such as {near}."
        )
    least = least_samples(mel)
    if segment_size < least:
        raise UserError(
            f"data.segment_size (= {segment_size}) must be at least {least} samples, of which a "
            "mel frame is made; 8192 is usual."
        )


def _embedded(config: SpeechData, mel: MelSpec) -> Speech:
    """The synthesised set at the rate of the model."""
    parts: dict[str, tuple[Utterance, ...]] = {}
    sha256: dict[str, list[str]] = {}
    for name, clips in embedded_speech(mel.sample_rate).parts.items():
        parts[name] = tuple(Utterance(key, None, samples.size) for key, samples in clips.items())
        sha256[name] = [_digest(list(clips.values()), mel.sample_rate)]
    return Speech(
        parts["train"], parts["validation"], mel, config.peak_normalized, sha256, embedded=True,
        source="the embedded set",
    )  # fmt: skip


def _digest(clips: Sequence[Samples], sample_rate: int) -> str:
    """Of all clips in their order."""
    return hashlib.sha256("".join(sha256_of(clip, sample_rate) for clip in clips).encode()).hexdigest()

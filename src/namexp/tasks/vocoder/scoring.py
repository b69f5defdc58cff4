"""What a vocoder has achieved on its validation clips.

Letters: L samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from namexp.engine.task import Scores
from namexp.engine.training import Training
from namexp.models.hifigan import Generator
from namexp.models.hifigan.synthesizer import Synthesizer
from namexp.models.hifigan.timing import timed
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.config.whole import VocoderConfig
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.data.speech import Speech
from namexp.tasks.vocoder.metrics import clip_metrics, level_and_polarity
from namexp.tasks.vocoder.networks import VocoderNetwork

TIMED_SECONDS, TIMED_ROUNDS = 0.5, 3


class Scored(NamedTuple):
    """One validation clip.

    Attributes:
        name: of the clip.
        place: in the validation part.
        values: its metrics, level and polarity.
    """

    name: str
    place: int
    values: dict[str, float]


def score(
    training: Training[VocoderConfig, Speech], network: VocoderNetwork, data: SpeechDataModule
) -> Scores:
    """Metrics of every clip by the fused generator, as it is exported; shown are the clips.

    Args:
        training: with its material.
        network: with its best weights, in evaluation mode.
        data: whose validation clips are scored.
    """
    config, generator = training.config, network.gan.generator.fused().eval()
    mels = config.model.mels
    clips = [
        Scored(utterance.name, i, scored_clip(generator, data, i, mels))
        for i, utterance in enumerate(
            tqdm(training.material.validation, desc="scoring clips", delay=3.0, leave=False)
        )
    ]
    means = {name: _mean(clips, name) for name in ("mel_error", "MRSTFT")}
    values = {name: torch.tensor([value], dtype=torch.float64) for name, value in means.items()}
    timing = timed(
        generator, sample_rate=mels.input.sample_rate, seconds=TIMED_SECONDS, rounds=TIMED_ROUNDS, threads=1
    )
    return Scores(
        values={**values, "val_loss": values["mel_error"]},
        rows=[{"realtime_factor": round(timing.audio_seconds / timing.cpu_seconds, 2)}],
        facts={"gain_db": _mean(clips, "gain_db"), "correlation": _mean(clips, "correlation")},
        shown=clips,
    )


def scored_clip(generator: Generator, data: SpeechDataModule, index: int, mels: Mels) -> dict[str, float]:
    """The figures of one clip."""
    generated, original = played_clip(generator, data, index)
    return {**clip_metrics(generated, original, mels), **level_and_polarity(generated, original)}


def played_clip(generator: Generator, data: SpeechDataModule, index: int) -> tuple[Tensor, Tensor]:
    """(L,) generated from the clip's mel, and the (L' >= L,) clip."""
    mel, audio = data.validation_clip(index)
    generated = Synthesizer(generator).whole(mel)[0]
    return generated[: audio.shape[-1]], audio[0, 0]


def _mean(clips: Sequence[Scored], name: str) -> float:
    values = torch.tensor([clip.values[name] for clip in clips], dtype=torch.float64)
    return float(values.mean())


def ordered(clips: Sequence[Scored]) -> list[Scored]:
    """From the best to the worst by mel error; what is not a number last."""
    return sorted(
        clips,
        key=lambda clip: (clip.values["mel_error"] != clip.values["mel_error"], clip.values["mel_error"]),
    )


def plain(clip: Scored) -> dict[str, Any]:
    """Of summary.json and of an evaluation."""
    return {"name": clip.name, **clip.values}

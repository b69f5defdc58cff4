"""The whole config of a HiFi-GAN, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from namexp.errors import UserError
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.metric import Metric
from namexp.tasks.vocoder.config.data import NEUTRAL, SpeechData
from namexp.tasks.vocoder.config.loss import HifiganLoss
from namexp.tasks.vocoder.config.model import HifiganModel
from namexp.tasks.vocoder.config.trainer import VocoderTrainer

MODEL_KINDS: Mapping[str, type[Any]] = {"hifigan": HifiganModel}


@dataclass(kw_only=True)
class VocoderConfig(ExperimentConfig):
    """One training of a vocoder."""

    data: SpeechData
    loss: HifiganLoss
    trainer: VocoderTrainer

    learns = "vocoders"
    models = MODEL_KINDS
    metrics = (
        Metric("mel_error", scale="distance", meaning="L1 of the log mel up to half of the rate"),
        Metric("MRSTFT", scale="distance", meaning="Multi-resolution STFT distance"),
    )
    files = ("data.dir", "data.mels", "data.test_dir")
    neutral = (*NEUTRAL, "trainer.skip_oom")
    options: ClassVar[Mapping[str, str]] = {
        "data": "speech, ljspeech, ljspeech_report or ljspeech_nanoflow",
        "loss": "hifigan",
    }

    def __post_init__(self) -> None:
        """Agreement between groups."""
        super().__post_init__()
        hop = self.model.mels.input.hop_length
        if self.data.segment_size % hop:
            raise UserError(
                f"data.segment_size (= {self.data.segment_size}) must be a multiple of model.mel.hop_length "
                f"(= {hop}), such as {max(1, round(self.data.segment_size / hop)) * hop}."
            )
        least = self.model.mels.input.least_samples
        if self.data.segment_size < least:
            raise UserError(
                f"data.segment_size (= {self.data.segment_size}) must be at least {least} samples, from "
                "which a "
                "mel spectrogram can be taken."
            )
        self.trainer.check_shares(self.data.batch_size)
        if self.trainer.precision == "16-mixed":
            raise UserError(
                "trainer.precision (= 16-mixed) scales one loss, and a HiFi-GAN has several; use bf16-mixed "
                "or 32."
            )

"""What every vocoder learns from, whatever it is: clips of speech, loaded, told of, and cut."""

from __future__ import annotations

from pathlib import Path

from namexp.engine.training import Training
from namexp.ranks.place import Place
from namexp.tasks.vocoder.config.flow import FlowConfig
from namexp.tasks.vocoder.config.whole import VocoderConfig
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.data.speech import Speech, load_speech
from namexp.tasks.vocoder.sources import checked_test_set

Config = VocoderConfig | FlowConfig
Speaking = Training[VocoderConfig, Speech] | Training[FlowConfig, Speech]


def load(config: Config) -> Speech:
    """The clips, and the test set, which must be there and fit before anything is learned.

    Raises:
        UserError: whatever is wrong with them.
    """
    data, mel = config.data, config.model.mels.input
    speech = load_speech(data, mel)
    if data.test_dir is not None:
        checked_test_set(
            Path(data.test_dir),
            mel,
            expected=data.expected_test_files,
            accept_untested=data.accept_untested,
        )
    return speech


def opening(config: Config, material: Speech, model: str) -> list[str]:
    """Lines before the first step.

    Args:
        config: of the training.
        material: what is learned from.
        model: the line about the model.
    """
    mel = config.model.mels.input
    embedded = "no data.dir is given: training on the embedded set (synthesised, speech-like)"
    train, validation = (
        f"{len(part)} clips of {material.seconds(part) / 60:.1f} min"
        for part in (material.train, material.validation)
    )
    return [
        *([embedded] if material.embedded else []),
        model,
        f"{mel.n_mels} mels to {mel.top:g} Hz, frames of {mel.hop_length} samples at {mel.sample_rate} Hz",
        f"{train} to train on, {validation} to validate",
    ]


def data_module(training: Speaking, place: Place) -> SpeechDataModule:
    """Segments of the clips, of the process at ``place``."""
    config = training.config
    return SpeechDataModule(
        training.material,
        config.data,
        loss_mel=config.model.mels.loss,
        seed=config.seed,
        rank=place.rank,
        world_size=place.world_size,
        num_batches=config.trainer.limit_train_batches,
    )

"""Learning to turn mel spectrograms into sound: the seam to the engine, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from namexp.engine.module import Optimisation
from namexp.engine.task import Opening, Scores, Shown, Task
from namexp.engine.training import Row, Training
from namexp.models.hifigan import Generator
from namexp.ranks.place import ALONE, Place
from namexp.runs.summaries import about_training
from namexp.schema.initial import Initial
from namexp.tasks.vocoder.config.model import HifiganModel
from namexp.tasks.vocoder.config.whole import VocoderConfig
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.data.speech import Speech
from namexp.tasks.vocoder.layout import MODEL, VocoderLayout
from namexp.tasks.vocoder.module import Steps, VocoderModule
from namexp.tasks.vocoder.networks import VocoderNetwork, build_network, discriminator_parameters
from namexp.tasks.vocoder.scoring import score
from namexp.tasks.vocoder.showing.declared import page
from namexp.tasks.vocoder.showing.outcome import declared_clips, show
from namexp.tasks.vocoder.showing.preview import play, previews, reference_clips
from namexp.tasks.vocoder.speaking import data_module, load, opening
from namexp.tasks.vocoder.synthesizing import synthesize_test_set
from namexp.tasks.vocoder.weights.exporting import save_voice
from namexp.tasks.vocoder.weights.initial import start_from
from namexp.tasks.vocoder.weights.voice import Voice
from namexp.tracking.tracker import Clip

Speaking = Training[VocoderConfig, Speech]


class Vocoder(Task[VocoderConfig, Speech]):
    """HiFi-GANs from clips of speech; out comes ``model.safetensors``."""

    name = "vocoder"
    leaves = ("previews/*",)
    products = (MODEL,)

    def rows(self, config: VocoderConfig) -> tuple[Row, ...]:
        """The generator; the discriminators play nothing."""
        spec = config.model.generator
        facts = {
            "channels": spec.upsample_initial_channel,
            "parameters": spec.num_parameters,
            "macs_per_sample": spec.macs_per_sample,
        }
        return (Row("generator", "", facts),)

    def facts(self, config: VocoderConfig) -> Mapping[str, Any]:
        """Parameters in training, and how many frames on either side a sample depends on."""
        model: HifiganModel = config.model
        return {
            "parameters_training": model.generator.num_parameters_training,
            "parameters_discriminators": sum(discriminator_parameters(model).values()),
            "context_frames": model.generator.context_frames,
        }

    def page(self, config: VocoderConfig) -> Mapping[str, Any]:
        """The report's figures and tables, as far as there are discriminators."""
        return page(adversarial=config.loss.adversarial_start_step is not None)

    def load(self, config: VocoderConfig) -> Speech:
        """The clips, and the test set, which must be there before anything is learned."""
        return load(config)

    def network(self, config: VocoderConfig, material: Speech) -> VocoderNetwork:
        """What the model group describes."""
        del material
        return build_network(config.model, seed=config.seed)

    def start_from(self, initial: Initial, network: Any, material: Speech) -> str:
        """Weights of a run, a checkpoint, a ``model.safetensors`` or an official ``g_`` file."""
        del material
        return start_from(Path(initial.path), network)

    def opening(self, config: VocoderConfig, material: Speech) -> Opening:
        """The networks and how much there is to learn from."""
        spec, facts = config.model.generator, self.facts(config)
        start = config.loss.adversarial_start_step
        alone = (
            "; mel term alone" if start is None else f"; mel term alone until batch {start}" if start else ""
        )
        model = (
            f"hifigan: {spec.num_parameters:,} parameters play, {facts['parameters_training']:,} learn with "
            f"{facts['parameters_discriminators']:,} of the discriminators{alone}"
        )
        return Opening(opening(config, material, model))

    def references(self, training: Speaking) -> Mapping[str, Clip]:
        """The clips that are listened to on the way, as they were recorded."""
        names = [utterance.name for utterance in training.material.validation]
        return reference_clips(self.data(training, ALONE), names)

    def module(self, training: Speaking) -> VocoderModule:
        """Steps of segments."""
        config = training.config
        steps = Steps(
            loss=config.loss,
            trainer=config.trainer,
            mels=config.model.mels,
            segment_size=config.data.segment_size,
        )
        return VocoderModule(_network(training), Optimisation.of(config), steps)

    def data(self, training: Speaking, place: Place) -> SpeechDataModule:
        """Segments of the clips."""
        return data_module(training, place)

    def callbacks(self, training: Speaking) -> list[pl.Callback]:
        """How it sounds on the way."""
        data = self.data(training, ALONE)
        return previews(
            training, data, partial(play, data=data, seconds=training.config.logger.audio_seconds)
        )

    def score(self, training: Speaking) -> Scores:
        """Every validation clip, by the best weights; and what the page shows."""
        scores = score(training, _network(training), self.data(training, ALONE))
        clips = declared_clips(scores.shown, training.config.callbacks)
        return scores._replace(facts={**scores.facts, "clips": clips})

    def export(self, training: Speaking, summary: Mapping[str, Any]) -> None:
        """``model.safetensors``, read back and compared; then the test set through it."""
        layout, data = VocoderLayout(training.layout.root), training.config.data
        save_voice(layout.model, _voice(training, summary))
        if data.test_dir is not None:
            synthesize_test_set(layout.model, Path(data.test_dir), layout.test)

    def show(self, training: Speaking, scores: Scores, summary: Mapping[str, Any]) -> Shown:
        """The worst and the median clip, to hear and to see."""
        del summary
        config = training.config
        return show(
            VocoderLayout(training.layout.root),
            _generator(training),
            self.data(training, ALONE),
            config.model.mels,
            scores.shown,
            config.callbacks,
        )


def _network(training: Speaking) -> VocoderNetwork:
    assert isinstance(training.network, VocoderNetwork)
    return training.network


def _generator(training: Speaking) -> Generator:
    return _network(training).gan.generator.fused().eval()


def _voice(training: Speaking, summary: Mapping[str, Any]) -> Voice:
    return Voice(
        generator=_generator(training),
        mels=training.config.model.mels,
        source=training.layout.root,
        statistics=_network(training).statistics.to_plain(),
        discriminators={},
        about=about_training(summary),
    )

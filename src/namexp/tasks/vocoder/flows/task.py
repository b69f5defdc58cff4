"""Learning how likely audio is, given its mel, by flows that can be run backwards: the seam to the engine."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from namexp.audio.mel import log_mel
from namexp.audio.wav import write_flac
from namexp.engine.module import Optimisation
from namexp.engine.task import Opening, Scores, Shown, Task
from namexp.engine.training import Row, Training
from namexp.models.waveflow import WaveFlow
from namexp.ranks.place import ALONE, Place
from namexp.runs.summaries import about_training
from namexp.schema.initial import Initial
from namexp.tasks.vocoder.config.flow import FlowConfig
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.data.speech import Speech
from namexp.tasks.vocoder.flows.charts import latent_charts
from namexp.tasks.vocoder.flows.exporting import save_flow
from namexp.tasks.vocoder.flows.likelihood import Likelihood, clip_likelihood
from namexp.tasks.vocoder.flows.loading import start_from
from namexp.tasks.vocoder.flows.module import FlowModule, Steps
from namexp.tasks.vocoder.flows.networks import build_network, training_memory
from namexp.tasks.vocoder.flows.playing import playable_samples, speed, synthesised
from namexp.tasks.vocoder.flows.previewing import HEARD, play
from namexp.tasks.vocoder.flows.synthesizing import synthesize_test_set
from namexp.tasks.vocoder.flows.voice import FlowVoice
from namexp.tasks.vocoder.layout import MODEL, VocoderLayout
from namexp.tasks.vocoder.showing.preview import previews, reference_clips
from namexp.tasks.vocoder.speaking import data_module, load, opening
from namexp.tracking.tracker import Clip

log = logging.getLogger(__name__)

Flowing = Training[FlowConfig, Speech]

TEMPERATURES = (0.6, 0.8, 1.0)
SHOWN_SECONDS = 2.0
TIMED_SECONDS = 0.05


class Flow(Task[FlowConfig, Speech]):
    """WaveFlow and NanoFlow from clips of speech; out comes ``model.safetensors``."""

    name = "flow"
    leaves = ("previews/*",)
    products = (MODEL,)

    def rows(self, config: FlowConfig) -> tuple[Row, ...]:
        """The flow."""
        spec = config.model.flow
        facts = {
            "channels": spec.res_channels,
            "parameters": spec.num_parameters,
            "macs_per_sample": spec.macs_per_sample_inverse,
        }
        return (Row(config.model.kind, "", facts),)

    def facts(self, config: FlowConfig) -> Mapping[str, Any]:
        """Parameters in training, and the reach of a pass."""
        spec = config.model.flow
        return {"parameters_training": spec.num_parameters_training, "receptive_field": spec.receptive_field}

    def page(self, config: FlowConfig) -> Mapping[str, Any]:
        """The likelihood, beside what it is held against, and its two parts; ranked against its size."""
        reference = config.loss.reference_ll
        both = {"prior": "Prior part of the likelihood", "logdet": "Log-determinant, nats a sample"}
        return {
            "figures": [
                {
                    "title": "Log-likelihood, nats a sample",
                    "columns": {"train": "train/ll", "validation": "ll"},
                    "x": "step",
                    "levels": {} if reference is None else {"reference": float(reference)},
                },
                *(
                    {"title": title, "columns": {"train": f"train/{name}", "validation": f"val/{name}"}}
                    for name, title in both.items()
                ),
                {"title": "Learning rate", "columns": {"flow": "train/lr"}, "log": True},
                {"title": "Gradient norm", "columns": {"flow": "train/grad_norm"}, "log": True},
            ],
            "costs": ["parameters", "macs_per_sample", "realtime_factor"],
            "words": {"target": "Recording", "generated": "Generated"},
        }

    def load(self, config: FlowConfig) -> Speech:
        """The clips, and the test set, which must be there before anything is learned."""
        return load(config)

    def network(self, config: FlowConfig, material: Speech) -> WaveFlow:
        """What the model group describes."""
        del material
        return build_network(config.model, seed=config.seed)

    def start_from(self, initial: Initial, network: Any, material: Speech) -> str:
        """Weights of a run, a checkpoint or an official file, or several' mean; all, or what fits."""
        del material
        digest, left = start_from(initial, network)
        for line in left:
            log.warning("notice: init_from: not taken: %s", line)
        return digest

    def opening(self, config: FlowConfig, material: Speech) -> Opening:
        """The flow and how much there is to learn from."""
        spec = config.model.flow
        model = (
            f"{config.model.kind}: {spec.n_flow} flows over {spec.n_height} rows; "
            f"{spec.num_parameters_training:,} parameters learn, {spec.num_parameters:,} synthesise"
        )
        memory, recompute = training_memory(config), config.trainer.recompute
        gigabytes = f"a step takes about {memory.total(recompute=recompute) / 1e9:.2f} GB"
        saved = f" (with trainer.recompute=true {memory.total(recompute=True) / 1e9:.2f} GB)"
        return Opening([*opening(config, material, model), gigabytes + ("" if recompute else saved)])

    def module(self, training: Flowing) -> FlowModule:
        """Steps of segments."""
        config = training.config
        steps = Steps(config.loss, config.model.mels)
        network = _network(training)
        network.recompute = config.trainer.recompute
        return FlowModule(network, Optimisation.of(config), steps)

    def data(self, training: Flowing, place: Place) -> SpeechDataModule:
        """Segments of the clips."""
        return data_module(training, place)

    def references(self, training: Flowing) -> Mapping[str, Clip]:
        """The clip that is listened to on the way, as it was recorded."""
        names = [utterance.name for utterance in training.material.validation]
        return reference_clips(self.data(training, ALONE), names, HEARD)

    def callbacks(self, training: Flowing) -> list[pl.Callback]:
        """How it sounds on the way."""
        data = self.data(training, ALONE)
        playing = partial(play, data=data, seconds=training.config.logger.audio_seconds)
        return previews(training, data, playing, HEARD)

    def score(self, training: Flowing) -> Scores:
        """Every validation clip, by the best weights."""
        network, data = _network(training), self.data(training, ALONE)
        mel = training.config.model.mels.input
        clips = [
            (name, clip_likelihood(network, data.validation_clip(i)[1][0, 0], mel))
            for i, name in enumerate(data.validation_names)
        ]
        ll = torch.tensor([clip.ll for _, clip in clips], dtype=torch.float64).mean()[None]
        audio, cpu, _ = speed(network, mel.sample_rate, seconds=TIMED_SECONDS)
        return Scores(
            values={"val_loss": -ll, "ll": ll},
            rows=[{"realtime_factor": round(audio / cpu, 3)}],
            facts={
                "clips": _declared(clips, audible=training.config.callbacks.audio),
                "charts": self._charts(training, clips, data) if training.config.callbacks.plots else [],
            },
            shown=clips,
        )

    def _charts(
        self, training: Flowing, clips: Scored, data: SpeechDataModule
    ) -> Sequence[Mapping[str, Any]]:
        """Of the median clip."""
        i = _chosen(clips)["median"]
        audio = data.validation_clip(i)[1][0, 0]
        return latent_charts(_network(training), audio, training.config.model.mels.input, clips[i][0])

    def export(self, training: Flowing, summary: Mapping[str, Any]) -> None:
        """``model.safetensors``, read back and compared."""
        layout, model = VocoderLayout(training.layout.root), training.config.model
        about = about_training(summary)
        voice = FlowVoice(_network(training), model.mels, model.kind, layout.root, about)
        save_flow(layout.model, voice)
        if training.config.data.test_dir is not None:
            synthesize_test_set(layout.model, Path(training.config.data.test_dir), layout.test)

    def show(self, training: Flowing, scores: Scores, summary: Mapping[str, Any]) -> Shown:
        """The worst and the median clip at three temperatures."""
        del summary
        wanted = training.config.callbacks.audio or training.tracker.active
        return _shown(training, scores.shown, self.data(training, ALONE)) if wanted else Shown()


def _network(training: Flowing) -> WaveFlow:
    assert isinstance(training.network, WaveFlow)
    return training.network


Scored = list[tuple[str, Likelihood]]


def _chosen(clips: Scored) -> dict[str, int]:
    order = sorted(range(len(clips)), key=lambda i: -clips[i][1].ll)
    return {"worst": order[-1], "median": order[len(order) // 2]}


def _declared(clips: Scored, *, audible: bool) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for stem, i in _chosen(clips).items():
        name, clip = clips[i]
        for temperature in TEMPERATURES if audible else ():
            found.append(
                {
                    "name": name, "why": f"{stem} by ll, temperature {temperature:g}", **clip._asdict(),
                    "target": f"audio/{stem}-target.flac",
                    "generated": f"audio/{stem}-{temperature:g}.flac",
                }
            )  # fmt: skip
    return found


def _shown(training: Flowing, clips: Scored, data: SpeechDataModule) -> Shown:
    network, mel_spec = _network(training), training.config.model.mels.input
    rate, folder = mel_spec.sample_rate, training.layout.root / "audio"
    sounds = {}
    for stem, i in _chosen(clips).items():
        audio = data.validation_clip(i)[1][0, 0][: round(SHOWN_SECONDS * rate)]
        mel = log_mel(audio[None], mel_spec)[0]
        samples = playable_samples(network, mel.shape[1])
        played = {"target": audio[:samples]}
        for temperature in TEMPERATURES:
            found = synthesised(network, mel, samples, temperature=temperature, seed=0)
            played[f"{temperature:g}"] = torch.nan_to_num(found).clamp(-1.0, 1.0)
        for name, samples_of in played.items():
            if training.config.callbacks.audio:
                write_flac(folder / f"{stem}-{name}.flac", samples_of.clamp(-1, 1).numpy(), rate, bits=16)
            sounds[f"audio/{stem}_{name}"] = Clip(samples_of.numpy(), rate, f"{clips[i][0]}, {name}")
    return Shown(sounds)

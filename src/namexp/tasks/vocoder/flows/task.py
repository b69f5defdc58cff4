"""Learning how likely audio is, given its mel, by flows that can be run backwards: the seam to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from namexp.audio.mel import log_mel
from namexp.audio.wav import write_flac
from namexp.engine.module import Optimisation
from namexp.engine.task import Opening, Scores, Shown, Task
from namexp.engine.training import Row, Training
from namexp.errors import UserError
from namexp.models.waveflow import WaveFlow
from namexp.ranks.place import ALONE, Place
from namexp.tasks.vocoder.config.flow import FlowConfig
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.data.speech import Speech, load_speech
from namexp.tasks.vocoder.flows.likelihood import Likelihood, clip_likelihood
from namexp.tasks.vocoder.flows.module import FlowModule, Steps
from namexp.tasks.vocoder.flows.networks import build_network
from namexp.tasks.vocoder.flows.playing import playable_samples, speed, synthesised
from namexp.tasks.vocoder.flows.voice import FlowVoice, load_flow, read_flow, write_flow
from namexp.tasks.vocoder.layout import MODEL, VocoderLayout
from namexp.tasks.vocoder.sources import checked_test_set
from namexp.tracking.tracker import Clip

Flowing = Training[FlowConfig, Speech]

TEMPERATURES = (0.6, 0.8, 1.0)
SHOWN_SECONDS = 2.0
TIMED_SECONDS = 0.05
TOLERANCE = 1e-5


class Flow(Task[FlowConfig, Speech]):
    """WaveFlow and NanoFlow from clips of speech; out comes ``model.safetensors``."""

    name = "flow"
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
        """The likelihood and its two parts."""
        del config
        both = {"prior": "Prior part of the likelihood", "logdet": "Log-determinant, nats a sample"}
        return {
            "figures": [
                {
                    "title": "Log-likelihood, nats a sample",
                    "columns": {"train": "train/ll", "validation": "ll"},
                },
                *(
                    {"title": title, "columns": {"train": f"train/{name}", "validation": f"val/{name}"}}
                    for name, title in both.items()
                ),
                {"title": "Learning rate", "columns": {"flow": "train/lr"}, "log": True},
                {"title": "Gradient norm", "columns": {"flow": "train/grad_norm"}, "log": True},
            ],
            "words": {"target": "Recording", "generated": "Generated"},
        }

    def load(self, config: FlowConfig) -> Speech:
        """The clips, and the test set."""
        data = config.data
        speech = load_speech(data, config.model.mels.input)
        if data.test_dir is not None:
            checked_test_set(
                Path(data.test_dir),
                config.model.mels.input,
                expected=data.expected_test_files,
                accept_untested=data.accept_untested,
            )
        return speech

    def network(self, config: FlowConfig, material: Speech) -> WaveFlow:
        """What the model group describes."""
        del material
        return build_network(config.model, seed=config.seed)

    def start_from(self, path: str, network: Any, material: Speech) -> str:
        """Weights of a run or of a checkpoint, strictly."""
        del material
        run = VocoderLayout(Path(path))
        found = next((p for p in (run.best_checkpoint, run.last_checkpoint) if p.exists()), Path(path))
        voice = load_flow(found)
        if voice.network.spec != network.spec or voice.network.played:
            raise UserError(
                f"init_from (= {path}): is another flow than model says, or one that can only play; give a "
                "run or "
                "a checkpoint of the same model."
            )
        network.load_state_dict(voice.network.state_dict())
        return _digest(network)

    def opening(self, config: FlowConfig, material: Speech) -> Opening:
        """The flow and how much there is to learn from."""
        spec, mel = config.model.flow, config.model.mels.input
        embedded = "no data.dir is given: training on the embedded set (synthesised, speech-like)"
        return Opening(
            [
                *([embedded] if material.embedded else []),
                f"{config.model.kind}: {spec.n_flow} flows over {spec.n_height} rows; "
                f"{spec.num_parameters_training:,} parameters learn, {spec.num_parameters:,} synthesise",
                f"{mel.n_mels} mels to {mel.top:g} Hz, frames of {mel.hop_length} samples at "
                f"{mel.sample_rate} Hz",
                f"{len(material.train)} clips of {material.seconds(material.train) / 60:.1f} min to train "
                "on, "
                f"{len(material.validation)} of {material.seconds(material.validation) / 60:.1f} min to "
                "validate",
            ]
        )

    def module(self, training: Flowing) -> FlowModule:
        """Steps of segments."""
        config = training.config
        steps = Steps(config.loss, config.model.mels, training.layout.last_checkpoint)
        return FlowModule(_network(training), Optimisation.of(config), steps)

    def data(self, training: Flowing, place: Place) -> SpeechDataModule:
        """Segments of the clips."""
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
            facts={"clips": _declared(clips, audible=training.config.callbacks.audio)},
            shown=clips,
        )

    def export(self, training: Flowing, summary: Mapping[str, Any]) -> None:
        """``model.safetensors``, read back and compared."""
        layout, network = VocoderLayout(training.layout.root), _network(training)
        if not all(bool(torch.isfinite(p).all()) for p in network.parameters()):
            raise UserError(f"{layout.root}: the flow has diverged: its weights are not finite.")
        entry = summary["submodels"][0]
        about = {key: summary[key] for key in ("training_id", "seed", "epochs")} | {"ll": entry["ll"]}
        voice = FlowVoice(network, training.config.model.mels, training.config.model.kind, layout.root, about)
        write_flow(layout.model, voice)
        mel = torch.randn(network.spec.n_mels, 4, generator=torch.Generator().manual_seed(0)) - 5.0
        samples = playable_samples(network, 4)
        played = [
            synthesised(one, mel, samples, temperature=0.6, seed=0)
            for one in (network, read_flow(layout.model).network)
        ]
        error = float((played[0] - played[1]).abs().max())
        if not error <= TOLERANCE:
            layout.model.unlink()
            raise UserError(f"{layout.model}: plays something else than the network (by {error:g}).")

    def show(self, training: Flowing, scores: Scores, summary: Mapping[str, Any]) -> Shown:
        """The worst and the median clip at three temperatures."""
        del summary
        wanted = training.config.callbacks.audio or training.tracker.active
        return _shown(training, scores.shown, self.data(training, ALONE)) if wanted else Shown()


def _network(training: Flowing) -> WaveFlow:
    assert isinstance(training.network, WaveFlow)
    return training.network


def _digest(network: WaveFlow) -> str:
    import hashlib

    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


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

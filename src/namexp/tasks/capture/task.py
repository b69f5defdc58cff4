"""Learning to sound like an amp: the seam to the engine, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytorch_lightning as pl

from namexp.architectures.playability import notices
from namexp.architectures.wavenet import WaveNetSpec
from namexp.engine.checkpoint import Best
from namexp.engine.module import Optimisation
from namexp.engine.task import Opening, Scores, Shown, Task
from namexp.engine.training import Row, Training
from namexp.models.network import Network
from namexp.ranks.place import Place
from namexp.schema.initial import Initial
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.capture.data.excerpt import Excerpt, choose_excerpt
from namexp.tasks.capture.data.module import CaptureDataModule
from namexp.tasks.capture.data.recordings import Recordings, load_recordings
from namexp.tasks.capture.layout import LEAVES, NAM, CaptureLayout
from namexp.tasks.capture.module import CaptureModule
from namexp.tasks.capture.networks import build_network
from namexp.tasks.capture.scoring import check_scorable, score
from namexp.tasks.capture.showing.outcome import show
from namexp.tasks.capture.showing.preview import AudioPreview, recording_clips
from namexp.tasks.capture.silence import SilenceCheck
from namexp.tasks.capture.weights.best import BestSubmodels, load_best, member_content
from namexp.tasks.capture.weights.exporting import assemble, save_verified, training_metadata
from namexp.tasks.capture.weights.initial import load_initial, start_from
from namexp.tracking.tracker import Clip

Capturing = Training[CaptureConfig, Recordings]
WORDS = {
    "target": "Target (the amp)",
    "ratio": "ESR",
    "no_sound": "No listening material: the run was made with callbacks.audio=false, or by an earlier "
    "version.",
}


class Capture(Task[CaptureConfig, Recordings]):
    """WaveNets from recordings of an amp; out comes ``model.nam``."""

    name = "capture"
    leaves = LEAVES
    products = (NAM,)

    def rows(self, config: CaptureConfig) -> tuple[Row, ...]:
        """The submodels, or the widths."""
        pairs = zip(config.plan.rows, config.plan.row_suffixes, strict=True)
        return tuple(Row(name, suffix, _size(spec)) for (name, spec), suffix in pairs)

    def facts(self, config: CaptureConfig) -> Mapping[str, Any]:
        """The receptive field."""
        return {"receptive_field": config.plan.receptive_field}

    def page(self, config: CaptureConfig) -> Mapping[str, Any]:
        """The words of amps."""
        del config
        return {"words": WORDS}

    def load(self, config: CaptureConfig) -> Recordings:
        """The recordings, which must be long enough for the metric that selects the best."""
        recordings = load_recordings(config.data, receptive_field=config.plan.receptive_field)
        check_scorable(config, recordings)
        return recordings

    def network(self, config: CaptureConfig, material: Recordings) -> Network:
        """What the model group describes."""
        del material
        return build_network(config.plan, seed=config.seed)

    def start_from(self, initial: Initial, network: Any, material: Recordings) -> str:
        """Weights of a ``.nam``, a checkpoint or a run, brought to the level of these recordings."""
        weights = load_initial(initial.path, network)
        start_from(network, weights, material.target_scale)
        return weights.sha256

    def opening(self, config: CaptureConfig, material: Recordings) -> Opening:
        """The network and how much there is to learn from."""
        plan, rate = config.plan, material.sample_rate
        names = ", ".join(submodel.name for submodel in plan.submodels)
        train, validation = (
            sum(part.target.size for part in parts) / rate for parts in (material.train, material.validation)
        )
        embedded = "no data.input is given: training on the embedded recording (a synthesised guitar and amp)"
        lines = [
            *([embedded] if material.embedded else []),
            f"{plan.kind} ({names}): receptive field {plan.receptive_field} samples "
            f"({1000.0 * plan.receptive_field / rate:.1f} ms)",
            f"{train:.1f} s to train on, {validation:.1f} s to validate, {rate} Hz",
        ]
        return Opening(lines, notices(plan.spec))

    def references(self, training: Capturing) -> Mapping[str, Clip]:
        """Input and target of the excerpt that is listened to."""
        return recording_clips(_excerpt(training))

    def module(self, training: Capturing) -> CaptureModule:
        """Steps of windows."""
        config = training.config
        return CaptureModule(
            _network(training),
            Optimisation.of(config),
            loss=config.loss,
            graphed=config.trainer.graphs,
            target_scale=training.material.target_scale,
        )

    def data(self, training: Capturing, place: Place) -> CaptureDataModule:
        """Windows of the recordings."""
        config = training.config
        return CaptureDataModule(
            training.material,
            receptive_field=config.plan.receptive_field,
            ny=config.data.ny,
            batch_size=config.data.batch_size,
            seed=config.seed,
            rank=place.rank,
            world_size=place.world_size,
        )

    def callbacks(self, training: Capturing) -> list[pl.Callback]:
        """Each submodel's best, silence, and how it sounds on the way."""
        network, callbacks = _network(training), list[pl.Callback]()
        if network.members:
            layout = CaptureLayout(training.layout.root)
            content = partial(member_content, network, training.description)
            callbacks.append(BestSubmodels(layout, network.row_names, content))
        callbacks.append(SilenceCheck())
        every = training.config.logger.audio_every_n_validations
        if training.tracker.active and every is not None:
            callbacks.append(AudioPreview(training.tracker, _excerpt(training), every_n_validations=every))
        return callbacks

    def take_best(self, training: Capturing) -> list[Best]:
        """Each submodel's own best, or that of the whole."""
        layout = CaptureLayout(training.layout.root)
        return load_best(layout, _network(training), training.description)

    def score(self, training: Capturing) -> Scores:
        """The validation part, played by the best weights."""
        return score(training.config, training.resolved, training.material, _network(training))

    def export(self, training: Capturing, summary: Mapping[str, Any]) -> None:
        """``model.nam``, read back and compared with the network before it gets its name."""
        network, recordings = _network(training), training.material
        model = assemble(
            network,
            training.config.plan,
            sample_rate=recordings.sample_rate,
            target_scale=recordings.target_scale,
            max_values=summary["max_values"],
            user=training.config.export.metadata,
            training=training_metadata(summary),
        )
        save_verified(model, network, recordings.target_scale, CaptureLayout(training.layout.root).nam)

    def show(self, training: Capturing, scores: Scores, summary: Mapping[str, Any]) -> Shown:
        """The picture, the listening material and, for a tracker, sound and spectrograms."""
        excerpt = _excerpt(training) if training.tracker.active else None
        return show(training, scores.shown, summary, excerpt)


def _size(spec: WaveNetSpec) -> dict[str, Any]:
    return {
        "channels": spec.channels[0] if len(spec.channels) == 1 else spec.channels,
        "parameters": spec.num_weights,
        "macs_per_sample": spec.macs_per_sample,
    }


def _network(training: Capturing) -> Network:
    assert isinstance(training.network, Network)
    return training.network


def _excerpt(training: Capturing) -> Excerpt:
    return choose_excerpt(
        training.material,
        receptive_field=training.config.plan.receptive_field,
        seconds=training.config.logger.audio_seconds,
    )

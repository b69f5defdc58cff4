"""How the submodels sound while they learn.

Letters: S submodels, L samples, R receptive field.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytorch_lightning as pl
import torch

from namexp.audio.level import db, rms
from namexp.audio.wav import Samples
from namexp.engine.callbacks.counting import is_nth_validation
from namexp.models.network import Network
from namexp.models.streaming import respond
from namexp.tasks.capture.data.excerpt import Excerpt
from namexp.tasks.capture.module import CaptureModule
from namexp.tracking import keys
from namexp.tracking.tracker import Clip, Tracker


class AudioPreview(pl.Callback):
    """Every few validations, plays an excerpt through every submodel and hands it to the tracker.

    Only the excerpt is held. The network is played as it is and draws no random numbers, so that
    listening changes no training. Which validations are heard follows from the epoch: a continued
    training goes on with the same ones.
    """

    def __init__(self, tracker: Tracker, excerpt: Excerpt, *, every_n_validations: int) -> None:
        self._tracker = tracker
        self._excerpt = excerpt
        self._every = every_n_validations

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Play, if this validation is one that is heard."""
        if not is_nth_validation(trainer, self._every):
            return
        assert isinstance(pl_module, CaptureModule)
        network = pl_module.network
        played = played_excerpt(network, self._excerpt)
        clips = submodel_clips(self._excerpt, played, network.row_suffixes, network.row_names)
        self._tracker.audio(clips, pl_module.updates)


def played_excerpt(network: Network, excerpt: Excerpt) -> Samples:
    """(S, L) what the network makes of the excerpt, in full precision, at the level of training."""
    parameter = next(network.parameters())
    x = torch.from_numpy(excerpt.context)[None].to(parameter.device, parameter.dtype)
    with torch.autocast(parameter.device.type, enabled=False):
        played: Samples = respond(network, x)[0].float().cpu().numpy()
    return played


def recording_clips(excerpt: Excerpt) -> dict[str, Clip]:
    """Input and target of the excerpt, at the level of the recording."""
    rate = excerpt.sample_rate
    return {
        keys.AUDIO_INPUT: Clip(excerpt.input, rate, "input"),
        keys.AUDIO_TARGET: Clip(excerpt.target / excerpt.target_scale, rate, "target"),
    }


def submodel_clips(
    excerpt: Excerpt, played: Samples, suffixes: Sequence[str], names: Sequence[str]
) -> dict[str, Clip]:
    """Prediction and prediction - target of every submodel, at the level of the recording.

    Args:
        excerpt: of the recording.
        played: (S, L) predictions of it, at the level of training.
        suffixes: of the submodels' metrics: S.
        names: of the submodels: S.
    """
    clips = {}
    target = excerpt.target / excerpt.target_scale
    for row, suffix, name in zip(played, suffixes, names, strict=True):
        prediction = row / excerpt.target_scale
        error = prediction - target
        below = db(rms([error]) / max(rms([target]), 1e-12))
        clips[keys.prediction(suffix)] = Clip(prediction, excerpt.sample_rate, name)
        clips[keys.difference(suffix)] = Clip(
            error, excerpt.sample_rate, f"{name} - target: {below:.1f} dB relative to the target"
        )
    return clips

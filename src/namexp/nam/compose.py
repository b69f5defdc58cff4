"""From trained networks to the model of a file: levels restored, metadata written."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from namexp.audio.level import db
from namexp.errors import UserError
from namexp.models.container import Container
from namexp.models.network import Network
from namexp.models.wavenet import WaveNet
from namexp.nam.metadata import measure_loudness, metadata_of
from namexp.nam.model import NamModel


def compose_model(
    network: Network,
    *,
    sample_rate: int,
    target_scale: float,
    user: dict[str, Any],
    training: dict[str, Any],
) -> NamModel:
    """One model as a file holds it, at the level of the recording.

    Args:
        network: a WaveNet or a slimmable one as trained; it is not changed.
        sample_rate: Hz.
        target_scale: what the training target was multiplied by; ``head_scale`` is divided by it,
            and the loudness shifted by 20 log10 of 1 / target_scale.
        user: metadata that only a person knows.
        training: where the model comes from.

    Raises:
        UserError: the scale cannot be undone exactly.
    """
    loudness = measure_loudness(network)[-1]
    restored = restore_level(network, target_scale)
    metadata = metadata_of(loudness, shift_db=-db(target_scale), user=user, training=training)
    wavenet, condition = _wavenet(restored), None
    if wavenet.condition_dsp is not None:
        condition = _inner(wavenet.condition_dsp, sample_rate)
    return NamModel(restored, metadata, sample_rate, condition=condition)


def _wavenet(network: Network) -> WaveNet:
    assert isinstance(network.whole, WaveNet), "what is trained is made of WaveNets"
    return network.whole


def _inner(network: Network, sample_rate: int) -> NamModel:
    assert isinstance(network, WaveNet), "only a WaveNet trains as a condition"
    inner = _inner(network.condition_dsp, sample_rate) if network.condition_dsp else None
    return NamModel(network, None, sample_rate, condition=inner)


def restore_level(network: Network, target_scale: float) -> Network:
    """A copy of ``network`` that plays at the level of the recording.

    Raises:
        UserError: a top-level head comes after ``head_scale`` and is not linear.
    """
    restored = copy.deepcopy(network)
    restored.cpu().float().eval()
    wavenet = _wavenet(restored)
    if target_scale != 1.0:
        if wavenet.head is not None:
            raise UserError(
                f"the target was scaled by {target_scale:g}, which cannot be undone in a model with a "
                "top-level head; train it with data=raw."
            )
        wavenet.head_scale = wavenet.head_scale / target_scale
    return restored


def compose_container(
    models: Sequence[NamModel],
    max_values: Sequence[float],
    *,
    user: dict[str, Any],
    training: dict[str, Any],
) -> NamModel:
    """A SlimmableContainer; loudness and gain are those of the best submodel, the last.

    Players normalise every submodel by the container's loudness.
    """
    best = models[-1].metadata or {}
    shared: dict[str, Any] = {key: best[key] for key in ("date", "loudness", "gain") if key in best}
    network = Container([(v, m.network) for v, m in zip(max_values, models, strict=True)])
    return NamModel(
        network.eval(),
        {**shared, **user, "training": training},
        models[-1].sample_rate,
        submodels=list(models),
    )

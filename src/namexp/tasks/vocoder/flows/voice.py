"""A flow that is ready to play, and weights of one as they are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from namexp.architectures.waveflow import FlowSpec
from namexp.engine.checkpoint import load_weights as load_stored_weights
from namexp.engine.stored import read_stored, write_stored
from namexp.errors import UserError
from namexp.models.waveflow import WaveFlow, load_weights
from namexp.reading.damage import content_of
from namexp.schema.fields import Fields
from namexp.tasks.vocoder.config.flow import KINDS, parse_flow, plain_flow
from namexp.tasks.vocoder.config.mel import Mels, parse_mels


@dataclass(frozen=True)
class FlowVoice:
    """What a file holds.

    Attributes:
        network: as learned or as played, in evaluation mode.
        mels: what conditions it.
        kind: of the model group.
        source: the file.
        about: what the file says of its training: plain values.
    """

    network: WaveFlow
    mels: Mels
    kind: str
    source: Path
    about: Mapping[str, Any]

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.mels.input.sample_rate


class Found(NamedTuple):
    """Weights in a file, and what the file says they are of.

    Attributes:
        source: the file, or the directory of those that were averaged.
        kind: of the model group.
        spec: of the flow.
        mels: what conditions it.
        state: by official names, in any form that ``load_weights`` takes.
        about: what is said of the training: plain values.
    """

    source: Path
    kind: str
    spec: FlowSpec
    mels: Mels
    state: Mapping[str, Any]
    about: Mapping[str, Any]

    @classmethod
    def of(cls, voice: FlowVoice) -> Found:
        """The same of a voice."""
        state = voice.network.state_dict()
        return cls(voice.source, voice.kind, voice.network.spec, voice.mels, state, voice.about)

    def learned(self) -> WaveFlow:
        """The flow as it learns, with these weights.

        Raises:
            UserError: they do not fit.
        """
        self._check_size()
        network = WaveFlow(self.spec)
        load_weights(network, {"model": self.state}, source=str(self.source))
        return network.float().eval()

    def _check_size(self) -> None:
        """Refuse a description of something much larger than its weights, before there is memory for it."""
        there = sum(value.numel() for value in self.state.values() if isinstance(value, Tensor))
        embedded = any("conv_h." in name for name in self.state)
        needed = self.spec.num_parameters_plain if embedded else self.spec.num_parameters
        if needed > 2 * there or (self.spec.size_flow_embed or 0) > max(there, 1024):
            raise UserError(
                f"{self.source}: holds {there} numbers, and the flow that it describes has {needed}; they do "
                "not belong together."
            )

    def voice(self) -> FlowVoice:
        """Ready to play.

        Raises:
            UserError: the weights do not fit.
        """
        return FlowVoice(self.learned(), self.mels, self.kind, self.source, self.about)


def write_flow(path: Path, voice: FlowVoice) -> None:
    """Write it as played, whole or not at all; the names of the tensors are the official ones."""
    about = {
        "sample_rate": voice.sample_rate,
        "mel": voice.mels.to_plain(),
        "flow": plain_flow(voice.network.spec),
        "about": dict(voice.about),
    }
    network = voice.network if voice.network.played else voice.network.as_played()
    write_stored(path, voice.kind, about, network.state_dict())


def read_flow(path: Path) -> FlowVoice:
    """Read what ``write_flow`` wrote.

    Raises:
        UserError: damaged, or of another program.
    """
    kind, fields, tensors = read_stored(path, KINDS)
    with content_of(path):
        return _flow(path, kind, fields, tensors)


def _flow(path: Path, kind: str, fields: Fields, tensors: Mapping[str, Tensor]) -> FlowVoice:
    mels = parse_mels(fields.raw("mel"), fields.integer("sample_rate", minimum=1), fields.where("mel"))
    spec = parse_flow(fields.raw("flow"), KINDS[kind], mels, fields.where("flow"))
    with torch.device("meta"):
        network = WaveFlow(spec, played=True)
    load_stored_weights(network, tensors, assign=True)
    return FlowVoice(network.float().eval(), mels, kind, path, fields.section("about").mapping)

"""A flow that is ready to play, from whatever holds one: a run, a checkpoint, ``model.safetensors``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namexp.engine.checkpoint import load_checkpoint, load_network_state
from namexp.engine.stored import read_stored, write_stored
from namexp.errors import UserError
from namexp.models.waveflow import WaveFlow
from namexp.reading.damage import content_of
from namexp.schema.fields import Fields
from namexp.schema.group import parse_group
from namexp.tasks.vocoder.config.flow import KINDS, FlowModel, parse_flow, plain_flow
from namexp.tasks.vocoder.config.mel import Mels, parse_mels
from namexp.tasks.vocoder.layout import VocoderLayout


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


def load_flow(path: Path) -> FlowVoice:
    """Open a run (its ``model.safetensors``, else its best checkpoint, else its last), or one of these.

    Raises:
        UserError: it is none of them, or damaged.
    """
    if path.is_dir():
        run = VocoderLayout(path)
        found = run.model if run.model.exists() else run.best_or_last()
        if found is None:
            raise UserError(f"{path}: holds no model.safetensors and no checkpoints/best.ckpt.")
        return load_flow(found)
    if not path.is_file():
        raise UserError(f"{path}: no such file; give a run directory, a checkpoint or a model.safetensors.")
    return flow_of_checkpoint(path) if path.suffix == ".ckpt" else read_flow(path)


def flow_of_checkpoint(path: Path) -> FlowVoice:
    """The flow in one of our checkpoints, as learned.

    Raises:
        UserError: it is none, or damaged, or no flow's.
    """
    content = load_checkpoint(path)
    about = content["namexp"]
    values = about.get("model")
    kind = values.get("kind") if isinstance(values, Mapping) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise UserError(f"{path}: holds a model of kind {kind}, which is no flow that synthesises.")
    with content_of(path):
        model = parse_group("model", values, FlowModel)
        with torch.device("meta"):  # a size that nobody has memory for is found by the shapes
            network = WaveFlow(model.flow)
        load_network_state(network, content, assign=True)
    told = {key: about[key] for key in ("training_id", "seed") if key in about}
    told["updates"] = content.get("updates")
    return FlowVoice(network.float().eval(), model.mels, kind, path, told)


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
    expected = {name: value.shape for name, value in network.state_dict().items()}
    found = {name: value.shape for name, value in tensors.items()}
    if expected != found:
        names = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        raise UserError(f"{path}: its tensors do not fit what its header says: {', '.join(names[:3])}.")
    network.load_state_dict(tensors, assign=True)
    return FlowVoice(network.float().eval(), mels, kind, path, fields.section("about").mapping)

"""``model.safetensors`` of a density: weights, all about them as JSON in the header. Loading runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from namexp.engine.checkpoint import load_weights
from namexp.engine.stored import read_stored, write_stored
from namexp.models.glow import Glow
from namexp.reading.damage import content_of
from namexp.tasks.density.config.model import parse_glow

KIND = "glow"


@dataclass(frozen=True)
class Density:
    """What a file holds.

    Attributes:
        network: in evaluation mode.
        source: the file.
        about: what else it says of its training: plain values.
    """

    network: Glow
    source: Path
    about: Mapping[str, Any]


def write_density(path: Path, density: Density) -> None:
    """Write it whole or not at all."""
    network = density.network
    about = {"model": network.spec.to_plain(), "about": dict(density.about)}
    write_stored(path, KIND, about, network.state_dict())


def read_density(path: Path) -> Density:
    """Read what ``write_density`` wrote.

    Raises:
        UserError: missing, damaged, or of another program.
    """
    _, fields, tensors = read_stored(path, (KIND,))
    with content_of(path):
        spec = parse_glow(fields.raw("model"), fields.where("model"))
        with torch.device("meta"):
            network = Glow(spec)
        load_weights(network, tensors, assign=True)
        return Density(network.float().eval(), path, fields.section("about").mapping)

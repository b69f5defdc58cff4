"""``model.safetensors`` of a density: weights, all about them as JSON in the header. Loading runs nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from namexp.atomic import write_atomically
from namexp.errors import UserError, one_line
from namexp.models.glow import Glow
from namexp.schema.fields import Fields
from namexp.tasks.density.config.model import parse_glow

FORMAT = 1
KEY, KIND = "namexp", "glow"


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
    about = {
        "format": FORMAT,
        "kind": KIND,
        "model": density.network.spec.to_plain(),
        "about": dict(density.about),
    }
    plain = {
        name: value.detach().cpu().contiguous().clone()
        for name, value in density.network.state_dict().items()
    }
    metadata = {KEY: json.dumps(about, allow_nan=False), "format": "pt"}
    write_atomically(path, lambda temporary: save_file(plain, temporary, metadata=metadata))


def read_density(path: Path) -> Density:
    """Read what ``write_density`` wrote.

    Raises:
        UserError: missing, damaged, or of another program.
    """
    about, tensors = _content(path)
    fields = Fields(about, f"{path}: {KEY}")
    if fields.integer("format") != FORMAT:
        raise UserError(f"{path}: has the format {about['format']}, and this namexp reads {FORMAT}.")
    fields.choice("kind", (KIND,))
    spec = parse_glow(fields.raw("model"), fields.where("model"))
    with torch.device("meta"):
        network = Glow(spec)
    network = network.to_empty(device="cpu")
    load_weights(network, tensors, path)
    return Density(network.float().eval(), path, fields.raw("about", {}))


def load_weights(network: Glow, state: Mapping[str, Tensor], source: Path) -> None:
    """Put the weights of ``source`` into the network.

    Raises:
        UserError: names or shapes that are not the network's.
    """
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    wrong = sorted(name for name in {*own, *found} if own.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise UserError(
            f"{source}: {len(wrong)} weights are not those of the model that it describes, such as {name}: "
            f"{found.get(name, 'missing')} for {own.get(name, 'none')}."
        )
    network.load_state_dict(dict(state))


def _content(path: Path) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            about = json.loads(metadata[KEY]) if KEY in metadata else None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except (SafetensorError, ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path}: not a safetensors file that can be read ({one_line(error)}).") from None
    if not isinstance(about, Mapping):
        raise UserError(f"{path}: was not written by namexp (its header does not say what the model is).")
    return about, tensors

"""``init_from``: a training that starts from weights which are there already.

Letters: S submodels.
"""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from namexp.errors import UserError, one_line
from namexp.models.network import Network
from namexp.models.wavenet import WaveNet
from namexp.tasks.capture.weights.playable import Playable, load_playable

# A level, a choice of widths, and weights: they do not say what the other weights are for.
IGNORED = (".head_scale", "slimmable", "slopes")


@dataclasses.dataclass(frozen=True)
class InitialWeights:
    """Where a training starts.

    Attributes:
        wavenets: one for each submodel.
        level: what their output is multiplied by to play at the level of the recording.
        sha256: of the weights, for the training's identity: the file's name says nothing.
    """

    wavenets: list[WaveNet]
    level: float
    sha256: str


def load_initial(path: str, network: Network) -> InitialWeights:
    """Read a ``.nam``, a checkpoint or a run directory and see that it fits.

    Args:
        path: of the file or directory.
        network: what is to be trained; it is left as it is.

    Raises:
        UserError: unreadable, or of another shape than ``network``.
    """
    try:
        source = load_playable(Path(path))
    except UserError as error:
        raise UserError(f"init_from: {one_line(error)}") from None
    found, wanted = _wavenets(source.network), _wavenets(network)
    if len(found) != len(wanted):
        raise UserError(
            f"init_from (= {path}) holds {len(found)} WaveNet{'s' * (len(found) != 1)} and the model trains "
            f"{len(wanted)}; choose a model with as many submodels."
        )
    for i, (there, here) in enumerate(zip(found, wanted, strict=True)):
        difference = _difference(dataclasses.asdict(there.spec), dataclasses.asdict(here.spec), "")
        if difference:
            raise UserError(f"init_from (= {path}) does not fit the model: submodel {i} has {difference}.")
    return InitialWeights(found, source.level, _sha256(found, source))


def _wavenets(network: Network) -> list[WaveNet]:
    """Those whose weights make up the network; what else it may hold cannot begin a training."""
    if network.members:
        return [wavenet for member in network.members for wavenet in _wavenets(member)]
    return [network.whole] if isinstance(network.whole, WaveNet) else []


def _difference(there: Any, here: Any, place: str) -> str | None:
    """The first setting in which two descriptions differ, in words."""
    if isinstance(there, dict) and isinstance(here, dict):
        names = [name for name in here if name not in IGNORED and f"{place}.{name}" not in IGNORED]
        pairs = [(there.get(name), here[name], f"{place}.{name}") for name in names]
    elif isinstance(there, list | tuple) and isinstance(here, list | tuple) and len(there) == len(here):
        pairs = [(a, b, f"{place}[{i}]") for i, (a, b) in enumerate(zip(there, here, strict=True))]
    else:
        return None if there == here else f"{place.lstrip('.')} = {there}, the model {here}"
    differences = (_difference(a, b, where) for a, b, where in pairs)
    return next((found for found in differences if found), None)


def _sha256(wavenets: list[WaveNet], source: Playable) -> str:
    digest = hashlib.sha256(repr(source.level).encode())
    for wavenet in wavenets:
        digest.update(wavenet.export_weights().double().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def start_from(network: Network, initial: InitialWeights, target_scale: float) -> None:
    """Put the weights into ``network``, so that it plays at the level it is trained at.

    The last convolution of each head, which is linear, takes up the difference in level: that of the
    recording the weights come from, of the one they go to, and of the two head scales.

    Args:
        network: takes the weights.
        initial: as ``load_initial`` found them to fit.
        target_scale: what the training target is multiplied by.
    """
    for here, there in zip(_wavenets(network), initial.wavenets, strict=True):
        here.load_state_dict(_slopes_as_many(there.state_dict(), here.state_dict()))
        scale = initial.level * target_scale * there.head_scale / here.head_scale
        for parameter in here.head_parameters():
            parameter.mul_(scale)


def _slopes_as_many(there: dict[str, Tensor], here: dict[str, Tensor]) -> dict[str, Tensor]:
    """A PReLU's one slope for all channels is the same as one for each."""
    return {
        name: value.expand_as(here[name]) if value.numel() == 1 else value for name, value in there.items()
    }

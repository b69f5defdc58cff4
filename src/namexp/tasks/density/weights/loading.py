"""Whatever holds a density: a run, a checkpoint, ``model.safetensors``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from namexp.engine.checkpoint import load_checkpoint, load_network_state
from namexp.engine.stored import digest_of
from namexp.errors import UserError
from namexp.models.glow import Glow
from namexp.reading.damage import content_of
from namexp.schema.group import parse_group
from namexp.tasks.density.config.model import GlowModel
from namexp.tasks.density.layout import DensityLayout
from namexp.tasks.density.weights.single import Density, read_density


def load_density(path: Path) -> Density:
    """Open ``path``.

    Args:
        path: a run directory (``model.safetensors``, else its best checkpoint, else its last one), a
            checkpoint, or a ``.safetensors``.

    Raises:
        UserError: it is none of them, or damaged.
    """
    if path.is_dir():
        run = DensityLayout(path)
        if run.model.exists():
            return read_density(run.model)
        found = run.best_or_last()
        if found is None:
            raise UserError(f"{run.root}: holds no model.safetensors and no checkpoints/best.ckpt.")
        return density_of_checkpoint(found)
    return density_of_checkpoint(path) if path.suffix == ".ckpt" else read_density(path)


def density_of_checkpoint(path: Path) -> Density:
    """The density in one of our checkpoints.

    Raises:
        UserError: it is none, or damaged, or of another task.
    """
    content = load_checkpoint(path)
    about = content["namexp"]
    values = about.get("model")
    if not isinstance(values, Mapping) or values.get("kind") != "glow":
        kind = values.get("kind") if isinstance(values, Mapping) else None
        raise UserError(f"{path}: holds a model of kind {kind}, which is no density of images.")
    with content_of(path):
        with torch.device("meta"):
            network = Glow(parse_group("model", values, GlowModel).spec)
        load_network_state(network, content, assign=True)
    told = {key: about[key] for key in ("training_id", "seed") if key in about}
    return Density(network.float().eval(), path, told)


def start_from(path: Path, network: Glow) -> str:
    """Put the weights of ``path`` into the network.

    Returns:
        The sha256 of the weights that were taken.

    Raises:
        UserError: unreadable, or they do not fit.
    """
    found = load_density(path).network
    if found.spec != network.spec:
        theirs, ours = found.spec.to_plain(), network.spec.to_plain()
        different = ", ".join(
            f"{key} {theirs[key]} for {ours[key]}" for key in ours if theirs[key] != ours[key]
        )
        raise UserError(
            f"init_from (= {path}): is another Glow than model says: {different}; choose the model that it "
            "is of."
        )
    network.load_state_dict(found.state_dict())
    return digest_of(found.state_dict())

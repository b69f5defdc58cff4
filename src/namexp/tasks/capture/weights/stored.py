"""The network of a run directory, finished or not, and of a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from namexp.engine.checkpoint import Best, load_checkpoint, load_network_state
from namexp.errors import UserError
from namexp.models.network import Network
from namexp.reading.damage import content_of
from namexp.schema.fields import Fields, shown
from namexp.tasks.capture.config.model import ModelPlan
from namexp.tasks.capture.config.whole import parse_model
from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.networks import build_network
from namexp.tasks.capture.weights.best import load_best


def rebuild(description: Mapping[str, Any], plan: ModelPlan) -> Network:
    """A network of the described kind, its weights still to be loaded."""
    return build_network(plan, seed=int(description["seed"]))


def check_description(about: Mapping[str, Any]) -> None:
    """What a checkpoint must say of itself to be played and exported.

    Raises:
        UserError: it is missing, or no such number.
    """
    fields = Fields(about, "namexp")
    fields.integer("seed", minimum=0)
    for name in ("sample_rate", "target_scale"):
        if not fields.number(name) > 0:
            raise UserError(f"{fields.where(name)} (= {shown(about[name])}) must be above 0.")


@dataclass(frozen=True)
class StoredNetwork:
    """A run's network with its best weights.

    Attributes:
        network: in float32 and evaluation mode.
        plan: what it is.
        about: what its checkpoints say of it.
        best: where each submodel's weights come from.
    """

    network: Network
    plan: ModelPlan
    about: dict[str, Any]
    best: list[Best]


def load_stored(run: CaptureLayout) -> StoredNetwork:
    """The network of a run directory, finished or not.

    Raises:
        UserError: it holds no checkpoint, or a damaged one.
    """
    source = next((p for p in (run.best_checkpoint, run.last_checkpoint) if p.exists()), None)
    if source is None:
        raise UserError(f"{run.root}: holds no checkpoint.")
    content = load_checkpoint(source)
    about = content["namexp"]
    with content_of(source):
        check_description(about)
        plan = parse_model(about["model"])
        network = rebuild(about, plan)
        load_network_state(network, content)
    best = load_best(run, network, about)
    network.float().eval()
    return StoredNetwork(network, plan, about, best)

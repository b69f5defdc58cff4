"""Weights on disk: checkpoints, the best ones of a run, and the networks they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from namexp.errors import UserError, one_line
from namexp.models.network import Network
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import parse_model
from namexp.tasks.capture.config.model import ModelPlan
from namexp.tasks.capture.networks import build_network


@dataclass(frozen=True)
class BestWeights:
    """Where one submodel's weights come from; epoch counts from 0, None for the current ones."""

    epoch: int | None
    val_loss: float | None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read tensors and plain values only: a checkpoint cannot run code.

    Raises:
        UserError: missing, damaged, or not written by namexp.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file.") from None
    except Exception as error:  # torch raises many kinds for damaged files
        raise UserError(f"{path}: not a checkpoint that can be read ({one_line(error)}).") from None
    if not isinstance(content, dict) or "namexp" not in content or "state_dict" not in content:
        raise UserError(f"{path}: was not written by namexp (it does not say what the network is).")
    return content


def load_best(
    run: RunLayout, plan: ModelPlan, network: Network, description: Mapping[str, Any]
) -> list[BestWeights]:
    """Put the best weights of every submodel into ``network``.

    A pack takes each submodel's own best; what has no best checkpoint keeps the weights that
    ``network`` has.

    Raises:
        UserError: a checkpoint belongs to another model.
    """
    if network.members:
        found = _packed_bests(run)
        result = []
        for i, member in enumerate(network.members):
            entry = found.get(i)
            if entry is None:
                result.append(BestWeights(None, None))
                continue
            path = run.root / entry["checkpoint_path"]
            content = load_checkpoint(path)
            _check_same_model(content["namexp"], description, path)
            member.load_state_dict(content["state_dict"])
            own = content["best"]  # written in one piece with the weights, unlike the index
            result.append(BestWeights(own["epoch"], own["best_metric"]))
        return result
    if not run.best_checkpoint.exists():
        return [BestWeights(None, None)]
    content = load_checkpoint(run.best_checkpoint)
    _check_same_model(content["namexp"], description, run.best_checkpoint)
    load_network_state(network, content)
    best_of = content["callbacks"]["Checkpoints"]
    return [BestWeights(best_of["best_epoch"], best_of["best"])]


def _packed_bests(run: RunLayout) -> dict[int, Mapping[str, Any]]:
    """The entries of packed_best.json by submodel; empty before the first validation."""
    if not run.packed_best.exists():
        return {}
    entries = read_json(run.packed_best).get("submodels")
    known = {"submodel_index", "checkpoint_path", "epoch", "best_metric"}
    if not isinstance(entries, list) or not all(known <= set(entry) for entry in entries):
        raise UserError(f"{run.packed_best}: is damaged: every submodel needs {', '.join(sorted(known))}.")
    return {entry["submodel_index"]: entry for entry in entries}


def load_network_state(network: Network, content: Mapping[str, Any]) -> None:
    """Take the network's weights out of a trainer's checkpoint."""
    prefix = "network."
    state = {
        name.removeprefix(prefix): value
        for name, value in content["state_dict"].items()
        if name.startswith(prefix)
    }
    network.load_state_dict(state)


def _check_same_model(found: Mapping[str, Any], expected: Mapping[str, Any], path: Path) -> None:
    # Sizes alone would not tell [3, 8] from [8, 3].
    if found["model"] != expected["model"]:
        keys = sorted(k for k in expected["model"] if found["model"].get(k) != expected["model"][k])
        raise UserError(
            f"{path}: holds another model than config.yaml says (they differ in model.{keys[0]}); the "
            "run directory mixes two trainings."
        )


def rebuild(description: Mapping[str, Any], plan: ModelPlan) -> Network:
    """A network of the described kind, its weights still to be loaded."""
    return build_network(plan, seed=int(description["seed"]))


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        finished_epochs: whole epochs; 0: it must begin again.
        metric_rows: of metrics.csv at that moment.
        seconds: of training.
        threads: CPU threads it computed with.
        audio_sha256: of the content of its recordings.
        training_id: of the training that left it.
        global_step: steps done.
        initial_sha256: of the weights that ``init_from`` gave; None: drawn from the seed.
        cut_short: whether ``trainer.max_steps`` ended it in the middle of the epoch that follows.
    """

    finished_epochs: int
    metric_rows: int
    seconds: float
    threads: int
    audio_sha256: Mapping[str, Any]
    training_id: str
    global_step: int
    initial_sha256: str | None
    cut_short: bool


def load_progress(run: RunLayout) -> Progress | None:
    """What ``last.ckpt`` says; None where there is none.

    Raises:
        UserError: it is damaged.
    """
    if not run.last_checkpoint.exists():
        return None
    content = load_checkpoint(run.last_checkpoint)
    state, about = content["callbacks"]["Checkpoints"], content["namexp"]
    finished = state["finished_epochs"]
    return Progress(
        finished_epochs=finished,
        metric_rows=state["metric_rows"] if finished else 0,
        seconds=state["seconds"],
        threads=about["threads"],
        audio_sha256=about["audio_sha256"],
        training_id=about["training_id"],
        global_step=content["global_step"],
        initial_sha256=about["initial_sha256"],
        cut_short=finished > 0 and content["epoch"] >= finished,
    )


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
    best: list[BestWeights]


def load_stored(run: RunLayout) -> StoredNetwork:
    """The network of a run directory, finished or not.

    Raises:
        UserError: it holds no checkpoint, or a damaged one.
    """
    source = next((p for p in (run.best_checkpoint, run.last_checkpoint) if p.exists()), None)
    if source is None:
        raise UserError(f"{run.root}: holds no checkpoint.")
    content = load_checkpoint(source)
    about = content["namexp"]
    plan = parse_model(about["model"])
    network = rebuild(about, plan)
    load_network_state(network, content)
    best = load_best(run, plan, network, about)
    network.float().eval()
    return StoredNetwork(network, plan, about, best)

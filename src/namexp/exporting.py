"""From a run directory to a verified ``.nam``: the best weights, the thresholds, the file.

Letters: S submodels, L samples.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from namexp.errors import UserError, one_line
from namexp.models.build import build_network
from namexp.models.network import Network
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet, WaveNet
from namexp.nam.compose import compose_container, compose_model
from namexp.nam.model import NamModel
from namexp.nam.verify import played_rows, probe_signal, write_verified
from namexp.runs.files import finite, read_json
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import ExperimentConfig, parse_experiment
from namexp.schema.model import ModelPlan
from namexp.schema.thresholds import resolve_thresholds
from namexp.schema.training import check_user_metadata

log = logging.getLogger(__name__)


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
        raise UserError(f"{path}: not a checkpoint that can be read: {error}") from None
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
    if isinstance(network, PackedWaveNet):
        found = _packed_bests(run)
        result = []
        for i, wavenet in enumerate(network.wavenets()):
            entry = found.get(i)
            if entry is None:
                result.append(BestWeights(None, None))
                continue
            path = run.root / entry["checkpoint_path"]
            content = load_checkpoint(path)
            _check_same_model(content["namexp"], description, path)
            wavenet.load_state_dict(content["state_dict"])
            result.append(BestWeights(entry["epoch"], entry["best_metric"]))
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


def assemble(
    network: Network,
    plan: ModelPlan,
    *,
    sample_rate: int,
    target_scale: float,
    container_max_values: Any,
    user: dict[str, Any],
    training: Sequence[dict[str, Any]],
) -> NamModel:
    """The model of the file.

    Args:
        network: with the weights to export.
        plan: what it is.
        sample_rate: Hz.
        target_scale: of the normalisation, undone here.
        container_max_values: thresholds setting of a pack.
        user: metadata that only a person knows.
        training: metadata of each submodel's training.
    """
    _refuse_diverged(network, plan)

    def single(part: WaveNet | SlimmableWaveNet, about: dict[str, Any], own: dict[str, Any]) -> NamModel:
        return compose_model(
            part, sample_rate=sample_rate, target_scale=target_scale, user=own, training=about
        )

    if not isinstance(network, PackedWaveNet):
        assert isinstance(network, WaveNet | SlimmableWaveNet)
        return single(network, training[-1], user)
    thresholds = resolve_thresholds(container_max_values, len(plan.submodels), "export.container_max_values")
    models = [single(wavenet, about, {}) for wavenet, about in zip(network.wavenets(), training, strict=True)]
    whole = {**training[-1], "submodels": [about["submodel"] for about in training]}
    whole.pop("submodel")
    return compose_container(models, thresholds, user=user, training=whole)


def _refuse_diverged(network: Network, plan: ModelPlan) -> None:
    parts = network.wavenets() if isinstance(network, PackedWaveNet) else [network]
    for part, submodel in zip(parts, plan.submodels, strict=True):
        if not all(bool(torch.isfinite(p).all()) for p in part.parameters()):
            raise UserError(
                f"submodel '{submodel.name}' has diverged: its weights are not finite and it never had a "
                "finite val_loss, so no model.nam was written; lower optimizer.lr and train again."
            )


def save_verified(model: NamModel, network: Network, target_scale: float, path: Path) -> None:
    """Write the file and prove that it plays what ``network`` plays, at the recording's level."""
    probe = probe_signal()
    network = network.cpu().float().eval()
    expected = played_rows(network, probe) / target_scale
    write_verified(model, path, expected=expected, probe=probe)


def training_metadata(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each submodel's file says about its training, from the run's summary."""
    summary = finite(summary)
    shared = {
        "trainer": "namexp",
        "training_id": summary["training_id"],
        "seed": summary["seed"],
        "epochs": summary["epochs"],
        "versions": summary["versions"],
        "data": {"sha256": summary["audio_sha256"]},
    }
    return [
        {
            "validation_esr": entry["ESR"],
            "validation_mrstft": entry["MRSTFT"],
            "best_epoch": entry["best_epoch"],
            "submodel": entry["name"],
            **shared,
        }
        for entry in summary["submodels"]
    ]


def _training_of_unfinished(
    plan: ModelPlan, about: Mapping[str, Any], best: Sequence[BestWeights]
) -> list[dict[str, Any]]:
    """What is known of a training that was cut off before it was scored."""
    return [
        {
            "submodel": submodel.name,
            "best_epoch": own.epoch,
            "val_loss": own.val_loss,
            "trainer": "namexp",
            "seed": about["seed"],
            "finished": False,
        }
        for submodel, own in zip(plan.submodels, best, strict=True)
    ]


def _read_config(run: RunLayout) -> ExperimentConfig:
    """The config that the run was started with."""
    try:
        tree = OmegaConf.load(run.config)
    except Exception as error:  # YAML has many kinds of errors
        raise UserError(f"{run.config}: cannot be read: {one_line(error)}.") from None
    if not isinstance(tree, DictConfig):
        raise UserError(f"{run.config}: must hold the groups of a config, got a list.")
    return parse_experiment(tree)


def rebuild(description: Mapping[str, Any], plan: ModelPlan) -> Network:
    """A network of the described kind, its weights still to be loaded."""
    return build_network(plan, seed=int(description["seed"]))


def export_run(
    root: Path,
    *,
    output: Path | None = None,
    container_max_values: Any = None,
    metadata: Mapping[str, Any] | None = None,
) -> Path:
    """Export a run directory again.

    Args:
        root: the run directory.
        output: the file; None: its ``model.nam``.
        container_max_values: thresholds setting; None: that of its config.
        metadata: fields to add to, or replace in, those of its config.

    Returns:
        The path of the file.

    Raises:
        UserError: no training there, thresholds that do not fit, unknown metadata.
    """
    run = RunLayout(root)
    if not run.config.exists():
        raise UserError(f"{root}: holds no config.yaml, so it is not a run directory.")
    config = _read_config(run)
    source = next((p for p in (run.best_checkpoint, run.last_checkpoint) if p.exists()), None)
    if source is None:
        raise UserError(f"{root}: holds no checkpoint to export.")
    content = load_checkpoint(source)
    about = content["namexp"]
    network = rebuild(about, config.plan)
    load_network_state(network, content)
    best = load_best(run, config.plan, network, about)
    network.float().eval()
    if container_max_values is not None and not isinstance(network, PackedWaveNet):
        raise UserError(
            f"--container-max-values (= {container_max_values}) has no effect: {root} is no pack."
        )
    if run.summary.exists():
        training = training_metadata(read_json(run.summary))
    else:
        training = _training_of_unfinished(config.plan, about, best)
    model = assemble(
        network,
        config.plan,
        sample_rate=about["sample_rate"],
        target_scale=about["target_scale"],
        container_max_values=container_max_values or config.export.container_max_values,
        user=check_user_metadata({**config.export.metadata, **(metadata or {})}, "--metadata"),
        training=training[-1:] if isinstance(network, SlimmableWaveNet) else training,
    )
    path = output or run.nam
    path.parent.mkdir(parents=True, exist_ok=True)
    save_verified(model, network, about["target_scale"], path)
    return path

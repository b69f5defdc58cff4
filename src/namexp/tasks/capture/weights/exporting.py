"""From a run directory to a verified ``.nam``: the best weights, the thresholds, the file.

Letters: S submodels, L samples.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from namexp.door import refuse_other_format
from namexp.errors import UserError
from namexp.models.network import Network
from namexp.nam.compose import compose_container, compose_model
from namexp.nam.model import NamModel
from namexp.nam.verify import played_rows, probe_signal, write_verified
from namexp.reading.damage import content_of
from namexp.runs.files import finite, read_json
from namexp.schema.experiment import check_config, plain_config
from namexp.schema.fields import Fields
from namexp.schema.resuming import stored_config
from namexp.tasks.capture.config.export import check_user_metadata
from namexp.tasks.capture.config.model import ModelPlan
from namexp.tasks.capture.config.thresholds import resolve_thresholds
from namexp.tasks.capture.config.whole import CaptureConfig
from namexp.tasks.capture.layout import CaptureLayout
from namexp.tasks.capture.weights.stored import StoredNetwork, load_stored

log = logging.getLogger(__name__)


def container_thresholds(plan: ModelPlan, setting: Any, esrs: Sequence[float]) -> list[float] | None:
    """The thresholds of a pack's container; None for a model that becomes none.

    Args:
        plan: what was trained.
        setting: ``export.container_max_values``.
        esrs: (S,) validation ESR of every submodel.
    """
    if not plan.becomes_container:
        return None
    return resolve_thresholds(
        setting,
        len(plan.submodels),
        "export.container_max_values",
        macs_per_sample=[submodel.spec.macs_per_sample for submodel in plan.submodels],
        esrs=esrs,
    )


def assemble(
    network: Network,
    plan: ModelPlan,
    *,
    sample_rate: int,
    target_scale: float,
    max_values: Sequence[float] | None,
    user: dict[str, Any],
    training: Sequence[dict[str, Any]],
) -> NamModel:
    """The model of the file.

    Args:
        network: with the weights to export.
        plan: what it is.
        sample_rate: Hz.
        target_scale: of the normalisation, undone here.
        max_values: thresholds of a pack; None for what becomes no container.
        user: metadata that only a person knows.
        training: metadata of each submodel's training.
    """
    _refuse_diverged(network, plan)

    def single(part: Network, about: dict[str, Any], own: dict[str, Any]) -> NamModel:
        return compose_model(
            part, sample_rate=sample_rate, target_scale=target_scale, user=own, training=about
        )

    if not network.members:
        return single(network, training[-1], user)  # of full width
    assert max_values is not None
    models = [single(member, about, {}) for member, about in zip(network.members, training, strict=True)]
    whole = {**training[-1], "submodels": [about["submodel"] for about in training]}
    whole.pop("submodel")
    return compose_container(models, max_values, user=user, training=whole)


def _refuse_diverged(network: Network, plan: ModelPlan) -> None:
    for part, submodel in zip(network.members or [network], plan.submodels, strict=True):
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
        # of older runs they are not known
        **{name: summary[name] for name in ("steps", "max_minutes") if summary.get(name) is not None},
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


def _esr(entry: Mapping[str, Any]) -> float:
    return math.nan if entry["ESR"] is None else Fields(entry, "submodels").number("ESR")


def _training_of_unfinished(stored: StoredNetwork) -> list[dict[str, Any]]:
    """What is known of a training that was cut off before it was scored."""
    return [
        {
            "submodel": submodel.name,
            "best_epoch": own.epoch,
            "val_loss": own.val_loss,
            "trainer": "namexp",
            "seed": stored.about["seed"],
            "finished": False,
        }
        for submodel, own in zip(stored.plan.submodels, stored.best, strict=True)
    ]


def _esrs_of_unfinished(config: CaptureConfig, stored: StoredNetwork, setting: Any) -> list[float]:
    """The best validations stand for the scores, where they are ESRs."""
    if setting == "quality" and config.loss.val_loss != "esr":
        raise UserError(
            "export.container_max_values (= quality) needs the ESR of every submodel, which a training that "
            "was cut off has only with loss.val_loss=esr; finish it with resume=RUN, or use compute."
        )
    return [math.nan if own.val_loss is None else own.val_loss for own in stored.best]


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
        UserError: no training there, an output that is called something else than a .nam, thresholds that
            do not fit, unknown metadata.
    """
    if output is not None:
        refuse_other_format(output, (".nam",), "a .nam")
    run = CaptureLayout(root)
    config = check_config(plain_config(stored_config(run.config)), CaptureConfig)
    stored = load_stored(run)
    setting = container_max_values or config.export.container_max_values
    if container_max_values is not None and not stored.network.members:
        raise UserError(
            f"--container-max-values (= {container_max_values}) has no effect: {root} is no pack."
        )
    if run.summary.exists():
        summary = read_json(run.summary)
        with content_of(run.summary):
            training = training_metadata(summary)
            esrs = [_esr(entry) for entry in summary["submodels"]]
            rows = len(stored.network.row_suffixes)
            if len(esrs) != rows:
                raise UserError(f"tells of {len(esrs)} submodels, and the model has {rows}.")
    else:
        training = _training_of_unfinished(stored)
        esrs = _esrs_of_unfinished(config, stored, setting)
    model = assemble(
        stored.network,
        stored.plan,
        sample_rate=stored.about["sample_rate"],
        target_scale=stored.about["target_scale"],
        max_values=container_thresholds(stored.plan, setting, esrs),
        user=check_user_metadata({**config.export.metadata, **(metadata or {})}, "--metadata"),
        training=training,
    )
    path = output or run.nam
    path.parent.mkdir(parents=True, exist_ok=True)
    save_verified(model, stored.network, stored.about["target_scale"], path)
    return path

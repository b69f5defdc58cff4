"""The whole config of a capture, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from namexp.architectures.playability import check_playable
from namexp.errors import UserError
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.fields import Fields, shown
from namexp.schema.group import parse_group
from namexp.schema.metric import Metric
from namexp.tasks.capture.config.data import DataConfig
from namexp.tasks.capture.config.export import ExportConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.config.model import MODEL_KINDS, ModelPlan
from namexp.tasks.capture.config.thresholds import resolve_thresholds

MIN_SPECTRAL_SAMPLES = 1026  # half of the longest FFT (2048), reflected, after pre-emphasis


@dataclass(kw_only=True)
class CaptureConfig(ExperimentConfig):
    """One training of a model of an amp, and its export."""

    data: DataConfig
    loss: LossConfig
    export: ExportConfig

    learns = "amps"
    models = MODEL_KINDS
    metrics = (
        Metric("ESR", scale="ratio", digits=5, meaning="Error-to-signal ratio: 0 is perfect, 1 silence"),
        Metric("MRSTFT", scale="distance", meaning="Multi-resolution STFT distance"),
        Metric("MSE", scale="distance", digits=6, tabled=False, meaning="Mean squared error"),
    )
    files = ("data.input", "data.target", "data.pairs.input", "data.pairs.target")
    neutral = ("export",)
    joined: ClassVar[Mapping[str, Any]] = {"model.weight_init": "torch"}
    abilities = frozenset({"optimizer.name=SOAP"})
    options: ClassVar[Mapping[str, str]] = {
        "data": "normalized or raw",
        "loss": "a2, a1 or mse",
        "export": "default",
    }

    def __post_init__(self) -> None:
        """Agreement between groups."""
        super().__post_init__()
        for submodel in self.plan.submodels:
            check_playable(submodel.spec, f"model '{submodel.name}': ")
        self._check_thresholds()
        self._check_normalisation()
        self._check_windows()
        self.trainer.check_shares(self.data.batch_size)
        self._check_coupling()

    @property
    def plan(self) -> ModelPlan:
        """What the model group means."""
        plan: ModelPlan = self.model.plan
        return plan

    def _check_thresholds(self) -> None:
        setting = self.export.container_max_values
        if self.plan.becomes_container:
            if not isinstance(setting, str):  # words always fit
                resolve_thresholds(setting, len(self.plan.submodels), "export.container_max_values")
        elif setting != "uniform":
            raise UserError(
                f"export.container_max_values (= {shown(setting)}) has no effect with model.kind "
                f"{self.plan.kind}: only a pack becomes a container; leave it at uniform."
            )

    def _check_normalisation(self) -> None:
        # head_scale is applied before the top-level head, which is not linear: nothing in the file
        # could undo the scale exactly.
        if self.data.level_rms_dbfs is not None and self.plan.spec.head is not None:
            raise UserError(
                f"data.level_rms_dbfs (= {self.data.level_rms_dbfs:g}) cannot be undone in a model "
                "with a top-level head (model.head); use data=raw or set model.head=null."
            )

    def _check_windows(self) -> None:
        spectral = self.loss.mrstft_weight + self.loss.pre_emphasis_mrstft_weight
        if spectral > 0 and self.data.ny < MIN_SPECTRAL_SAMPLES:
            raise UserError(
                f"data.ny (= {self.data.ny}) must be at least {MIN_SPECTRAL_SAMPLES} for the MRSTFT "
                "terms of the loss; use longer windows or set the loss.*mrstft_weight to 0."
            )

    def _check_coupling(self) -> None:
        if self.scheduler.name == "ReduceLROnPlateau" and len(self.plan.submodels) > 1:
            raise UserError(
                "scheduler.name (= 'ReduceLROnPlateau') would tie the submodels of a pack together: "
                "one learning rate for all would follow their mean; choose a schedule over epochs, "
                "such as scheduler=exponential."
            )


def parse_model(values: Any) -> ModelPlan:
    """The plan of a ``model`` group given as plain values, such as a checkpoint holds.

    Raises:
        UserError: the first setting that is misspelt, of the wrong type or out of range.
    """
    kind = Fields(values, "model").choice("kind", MODEL_KINDS)
    plan: ModelPlan = parse_group("model", values, MODEL_KINDS[kind]).plan
    return plan

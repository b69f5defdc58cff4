"""The whole config of one training, checked: the only way from Hydra's tree to typed objects."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from namexp.architectures.playability import check_playable
from namexp.errors import UserError, did_you_mean, one_line
from namexp.schema.callbacks import CallbacksConfig
from namexp.schema.fields import Fields, as_integer, shown
from namexp.schema.logger import LoggerConfig
from namexp.schema.optimisation import OptimizerConfig, SchedulerConfig
from namexp.schema.trainer import TrainerConfig
from namexp.tasks.capture.config.data import DataConfig
from namexp.tasks.capture.config.export import ExportConfig
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.config.model import MODEL_KINDS, ModelPlan
from namexp.tasks.capture.config.thresholds import resolve_thresholds

MAX_SEED = 2**32 - 1  # what numpy's generators take
MIN_SPECTRAL_SAMPLES = 1026  # half of the longest FFT (2048), reflected, after pre-emphasis

PLATEAU_METRICS = ("val_loss", "ESR", "MSE", "MRSTFT")

GROUPS: dict[str, Any] = {
    "data": DataConfig,
    "loss": LossConfig,
    "optimizer": OptimizerConfig,
    "scheduler": SchedulerConfig,
    "trainer": TrainerConfig,
    "callbacks": CallbacksConfig,
    "logger": LoggerConfig,
    "export": ExportConfig,
}


@dataclass
class ExperimentConfig:
    """One training and its export."""

    seed: int
    model: Any
    data: DataConfig
    loss: LossConfig
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    trainer: TrainerConfig
    callbacks: CallbacksConfig
    logger: LoggerConfig
    export: ExportConfig
    init_from: Any = None

    def __post_init__(self) -> None:
        """Agreement between groups."""
        if self.init_from is not None and not isinstance(self.init_from, str):
            raise UserError(
                f"init_from (= {shown(self.init_from)}) must be the path of a checkpoint, a .nam or a run."
            )
        as_integer(self.seed, "seed", minimum=0)
        if self.seed > MAX_SEED:
            raise UserError(f"seed (= {self.seed}) must be at most {MAX_SEED}.")
        plan = self.plan
        for submodel in plan.submodels:
            check_playable(submodel.spec, f"model '{submodel.name}': ")
        if plan.becomes_container:
            if not isinstance(self.export.container_max_values, str):  # words always fit
                resolve_thresholds(
                    self.export.container_max_values, len(plan.submodels), "export.container_max_values"
                )
        elif self.export.container_max_values != "uniform":
            raise UserError(
                f"export.container_max_values (= {shown(self.export.container_max_values)}) has no effect "
                f"with model.kind {plan.kind}: only a pack becomes a container; leave it at uniform."
            )
        self._check_normalisation(plan)
        self._check_windows()
        self._check_shares()
        self._check_coupling(plan)

    @property
    def plan(self) -> ModelPlan:
        """What the model group means."""
        return self.model.plan

    def _check_normalisation(self, plan: ModelPlan) -> None:
        # head_scale is applied before the top-level head, which is not linear: nothing in the file
        # could undo the scale exactly.
        if self.data.level_rms_dbfs is not None and plan.spec.head is not None:
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

    def _check_shares(self) -> None:
        if self.data.batch_size % self.trainer.world_size:
            raise UserError(
                f"data.batch_size (= {self.data.batch_size}) is that of all processes together and must be "
                f"a multiple of trainer.devices x trainer.num_nodes (= {self.trainer.world_size})."
            )

    def _check_coupling(self, plan: ModelPlan) -> None:
        if self.scheduler.name == "ReduceLROnPlateau":
            self._check_plateau()
        if self.scheduler.name == "ReduceLROnPlateau" and len(plan.submodels) > 1:
            raise UserError(
                "scheduler.name (= 'ReduceLROnPlateau') would tie the submodels of a pack together: "
                "one learning rate for all would follow their mean; choose a schedule over epochs, "
                "such as scheduler=exponential."
            )

    def _check_plateau(self) -> None:
        if self.scheduler.interval != "epoch":
            raise UserError(
                f"scheduler.interval (= {self.scheduler.interval}) must be epoch for ReduceLROnPlateau: "
                "what it watches is measured at the end of an epoch."
            )
        if self.scheduler.monitor not in PLATEAU_METRICS:
            raise UserError(
                f"scheduler.monitor (= {shown(self.scheduler.monitor)}) must be one of "
                f"{', '.join(PLATEAU_METRICS)}."
            )


def parse_experiment(cfg: DictConfig | dict[str, Any]) -> ExperimentConfig:
    """Check a composed config.

    Args:
        cfg: the tree that Hydra composed, or the content of a run's config.yaml.

    Raises:
        UserError: the first setting that is misspelt, of the wrong type or out of range.
    """
    tree = cfg if isinstance(cfg, DictConfig) else OmegaConf.create(cfg)
    try:
        plain = OmegaConf.to_container(tree, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'config'}: {_reason(error)}") from None
    fields = Fields(plain, "")
    seed = fields.integer("seed", minimum=0)
    init_from = fields.raw("init_from", None)
    fields.raw("resume", None)  # says where to run, not what
    model = _group("model", fields.raw("model"), _model_class(fields.section("model")))
    groups: dict[str, Any] = {name: _group(name, fields.raw(name), cls) for name, cls in GROUPS.items()}
    fields.finish()
    return ExperimentConfig(seed=seed, model=model, init_from=init_from, **groups)


def _model_class(fields: Fields) -> Any:
    return MODEL_KINDS[fields.choice("kind", MODEL_KINDS)]


def _group(name: str, values: Any, cls: Any) -> Any:
    """``values`` as an object of ``cls``, with every key and type checked."""
    fields = Fields(values, name)
    known = dataclasses.fields(cls)
    for field in known:
        fields.raw(field.name, None)
    fields.finish()
    # one with a default joined later: the config.yaml of older runs lacks it
    required = [field.name for field in known if field.default is dataclasses.MISSING]
    missing = [key for key in required if key not in values]
    if missing:
        raise UserError(f"{name}.{missing[0]} is missing; add it to conf/{name}.")
    try:
        typed = OmegaConf.merge(OmegaConf.structured(cls), values)
    except OmegaConfBaseException as error:
        key = error.full_key or ""
        value = values.get(key.split(".")[0]) if key else values
        raise UserError(f"{name}.{key} (= {shown(value)}): {_reason(error)}") from None
    checked = OmegaConf.to_container(typed, resolve=True)
    assert isinstance(checked, dict)
    return cls(**{str(key): value for key, value in checked.items()})


def _reason(error: OmegaConfBaseException) -> str:
    return one_line(error).split(" full_key:")[0]


def suggestion(key: str, cfg: DictConfig) -> str:
    """Did-you-mean for a dotted ``key`` among all settings of ``cfg``."""
    return did_you_mean(key, _all_keys(cfg))


def _all_keys(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, DictConfig):
        return []
    keys: list[str] = []
    for name in node:
        full = f"{prefix}{name!s}"
        keys.append(full)
        keys += _all_keys(node._get_node(name), f"{full}.")
    return keys


def resolved_config(cfg: DictConfig) -> dict[str, Any]:
    """The composed config as plain values, files by their absolute paths; what a run keeps."""
    plain = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(plain, dict)
    resolved: dict[str, Any] = {str(key): value for key, value in plain.items()}
    resolved.pop("resume", None)
    data = resolved["data"]
    places = [(item, key) for item in (data, *(data["pairs"] or [])) for key in ("input", "target")]
    for item, key in [*places, (resolved, "init_from")]:
        if item.get(key) is not None:
            item[key] = os.path.abspath(os.path.expanduser(item[key]))
    return resolved


def parse_model(values: Any) -> ModelPlan:
    """The plan of a ``model`` group given as plain values, such as a checkpoint holds.

    Raises:
        UserError: as ``parse_experiment``.
    """
    return _group("model", values, _model_class(Fields(values, "model"))).plan

"""The groups that say how a network is trained: loss, optimizer, scheduler, trainer, callbacks."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError, did_you_mean
from namexp.schema.fields import Fields, as_integer, is_number, shown

VAL_LOSSES = ("esr", "mse", "mrstft")
MAX_AUDIO_SECONDS = 30.0

# Kept here so that a misspelt name is refused before torch is imported; a test holds them against
# the installed torch.
OPTIMIZERS = (
    "ASGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam",
    "RMSprop", "Rprop", "SGD",
)  # fmt: skip
SCHEDULERS = (
    "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "LinearLR", "MultiStepLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "StepLR",
)  # fmt: skip


@dataclass
class LossConfig:
    """Weights of the training loss and the metric that selects the best checkpoint.

    A term with weight 0 is not computed. Pre-emphasis is ``x[t] - coefficient * x[t-1]``.
    """

    mse_weight: float
    esr_weight: float
    dc_weight: float
    mrstft_weight: float
    pre_emphasis_mse_weight: float
    pre_emphasis_mse_coefficient: float
    pre_emphasis_mrstft_weight: float
    pre_emphasis_mrstft_coefficient: float
    val_loss: str

    def __post_init__(self) -> None:
        """Weights must be finite and not negative, and one must count."""
        weights = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        weights = {k: v for k, v in weights.items() if k.endswith("_weight")}
        for name, value in weights.items():
            _at_least(f"loss.{name}", value, 0.0)
        if not any(weights.values()):
            raise UserError("every loss weight is 0; set at least one, such as loss.mse_weight=1.")
        for name in ("pre_emphasis_mse_coefficient", "pre_emphasis_mrstft_coefficient"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                raise UserError(f"loss.{name} (= {value}) must lie between 0 and 1.")
        if self.val_loss not in VAL_LOSSES:
            raise UserError(
                f"loss.val_loss (= {shown(self.val_loss)}) must be one of {', '.join(VAL_LOSSES)}."
            )


@dataclass
class OptimizerConfig:
    """A class of ``torch.optim``, its learning rate, and the rest by torch's names in ``options``."""

    name: str
    lr: float
    weight_decay: float
    options: Any

    def __post_init__(self) -> None:
        """Ranges and the name."""
        self.options = _options("optimizer.options", self.options)
        if self.name not in OPTIMIZERS:
            raise UserError(
                f"optimizer.name (= '{self.name}') is not an optimiser that namexp trains with"
                f"{did_you_mean(self.name, OPTIMIZERS)}"
            )
        if not is_number(self.lr) or self.lr <= 0:
            raise UserError(f"optimizer.lr (= {self.lr}) must be above 0.")
        _at_least("optimizer.weight_decay", self.weight_decay, 0.0)
        if self.name == "Rprop" and self.weight_decay > 0:
            raise UserError(
                f"optimizer.weight_decay (= {self.weight_decay:g}) has no meaning for Rprop; set it to 0."
            )
        for name in ("lr", "weight_decay"):
            if name in self.options:
                raise UserError(
                    f"optimizer.options.{name} (= {self.options[name]}) has a place of its own: set "
                    f"optimizer.{name}."
                )


@dataclass
class SchedulerConfig:
    """A class of ``torch.optim.lr_scheduler`` (or null), stepped once per epoch or per step."""

    name: Any
    options: Any
    interval: str
    monitor: str

    def __post_init__(self) -> None:
        """The name and the interval."""
        self.options = _options("scheduler.options", self.options)
        if self.name is not None and self.name not in SCHEDULERS:
            raise UserError(
                f"scheduler.name (= {shown(self.name)}) is not a scheduler that namexp trains with"
                f"{did_you_mean(str(self.name), SCHEDULERS)}"
            )
        if self.interval not in ("epoch", "step"):
            raise UserError(f"scheduler.interval (= {shown(self.interval)}) must be epoch or step.")
        gamma = self.options.get("gamma", 1.0)
        if not is_number(gamma) or gamma <= 0:
            raise UserError(f"scheduler.options.gamma (= {shown(gamma)}) must be above 0.")


@dataclass
class TrainerConfig:
    """Where and how long. ``devices`` on each of ``num_nodes`` machines share every batch."""

    accelerator: str
    max_epochs: int
    max_steps: Any
    check_val_every_n_epoch: int
    limit_train_batches: Any
    log_every_n_steps: int
    gradient_clip_norm: Any
    precision: str
    deterministic: bool
    threads: Any
    devices: int = 1
    num_nodes: int = 1
    cuda_graph: bool = True

    @property
    def graphs(self) -> bool:
        """Whether a GPU replays its steps: several processes talk to each other in the midst of one."""
        return self.cuda_graph and self.precision == "32" and self.world_size == 1

    @property
    def world_size(self) -> int:
        """Processes of the training, one per device."""
        return self.devices * self.num_nodes

    def __post_init__(self) -> None:
        """Ranges and names."""
        if self.accelerator not in ("cpu", "gpu"):
            raise UserError(f"trainer.accelerator (= {shown(self.accelerator)}) must be cpu or gpu.")
        if self.precision not in ("32", "64", "bf16-mixed", "16-mixed"):
            raise UserError(
                f"trainer.precision (= {shown(self.precision)}) must be one of '32', '64', "
                "'bf16-mixed', '16-mixed'."
            )
        if self.precision == "16-mixed" and self.accelerator == "cpu":
            raise UserError("trainer.precision (= 16-mixed) needs a GPU; use bf16-mixed or 32 on a CPU.")
        for name in ("max_epochs", "check_val_every_n_epoch", "log_every_n_steps", "devices", "num_nodes"):
            as_integer(getattr(self, name), f"trainer.{name}", minimum=1)
        for name in ("max_steps", "threads", "limit_train_batches"):
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, as_integer(value, f"trainer.{name}", minimum=1))
        clip = self.gradient_clip_norm
        if clip is not None and (not is_number(clip) or clip <= 0):
            raise UserError(f"trainer.gradient_clip_norm (= {shown(clip)}) must be above 0 or null.")


@dataclass
class CallbacksConfig:
    """What happens beside the training."""

    progress: bool
    plots: bool
    stop_at_esr: Any
    patience: Any
    audio: bool = True
    report: bool = True

    def __post_init__(self) -> None:
        """Ranges."""
        if self.stop_at_esr is not None:
            if not is_number(self.stop_at_esr) or self.stop_at_esr <= 0:
                raise UserError(
                    f"callbacks.stop_at_esr (= {shown(self.stop_at_esr)}) must be above 0 or null."
                )
            self.stop_at_esr = float(self.stop_at_esr)
        if self.patience is not None:
            self.patience = as_integer(self.patience, "callbacks.patience", minimum=1)


LOGGER_KINDS = ("csv", "wandb", "tensorboard", "none")


@dataclass
class LoggerConfig:
    """Where metrics, audio and pictures go besides metrics.csv, which is always written."""

    kind: str
    project: str
    mode: str
    name: Any
    group: Any
    tags: Any
    entity: Any = None
    audio_every_n_validations: Any = 5
    audio_seconds: float = 5.0

    def __post_init__(self) -> None:
        """Names and ranges."""
        if self.kind not in LOGGER_KINDS:
            raise UserError(f"logger.kind (= {shown(self.kind)}) must be one of {', '.join(LOGGER_KINDS)}.")
        if self.mode not in ("offline", "online", "disabled"):
            raise UserError(
                f"logger.mode (= {shown(self.mode)}) must be offline, online or disabled; it follows "
                "the environment variable WANDB_MODE."
            )
        if self.audio_every_n_validations is not None:
            self.audio_every_n_validations = as_integer(
                self.audio_every_n_validations, "logger.audio_every_n_validations", minimum=1
            )
        if not is_number(self.audio_seconds) or not 0 < self.audio_seconds <= MAX_AUDIO_SECONDS:
            raise UserError(
                f"logger.audio_seconds (= {shown(self.audio_seconds)}) must be above 0 and at most "
                f"{MAX_AUDIO_SECONDS:g}: every submodel's excerpt is kept many times."
            )
        self.tags = [] if self.tags is None else self.tags
        if not isinstance(self.tags, list) or not all(0 < len(str(tag)) <= 64 for tag in self.tags):
            raise UserError(
                f"logger.tags (= {shown(self.tags)}) must be a list of names up to 64 letters long."
            )


GEAR_TYPES = ("amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio")
TONE_TYPES = ("clean", "overdrive", "crunch", "hi_gain", "fuzz")


@dataclass
class ExportConfig:
    """The exported file: thresholds of a container and metadata that only a person knows."""

    container_max_values: Any
    metadata: dict[str, Any]

    def __post_init__(self) -> None:
        """The setting's form; whether it fits the submodels is checked with them."""
        from namexp.tasks.capture.config.thresholds import check_thresholds_setting

        check_thresholds_setting(self.container_max_values, "export.container_max_values")
        self.metadata = check_user_metadata(self.metadata, "export.metadata")


def check_user_metadata(metadata: Any, place: str) -> dict[str, Any]:
    """The fields of a file's metadata that people set, without those left null.

    Raises:
        UserError: an unknown field, gear or tone type, or a level that is not a number.
    """
    fields = Fields(metadata, place)
    result: dict[str, Any] = {}
    for key in ("name", "modeled_by", "gear_make", "gear_model"):
        if fields.has(key):
            result[key] = str(fields.raw(key))
    for key, options in (("gear_type", GEAR_TYPES), ("tone_type", TONE_TYPES)):
        if fields.has(key):
            result[key] = fields.choice(key, options)
    for key in ("input_level_dbu", "output_level_dbu"):
        if fields.has(key):
            result[key] = fields.number(key)
    fields.finish()
    return result


def _options(place: str, value: Any) -> dict[str, Any]:
    """Arguments by torch's names; null for none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{place} (= {shown(value)}) must be a mapping of torch's argument names to values.")
    return value


def _at_least(place: str, value: Any, minimum: float) -> None:
    if not is_number(value) or value < minimum:
        raise UserError(f"{place} (= {shown(value)}) must be at least {minimum:g}.")

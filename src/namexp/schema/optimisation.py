"""The groups ``optimizer`` and ``scheduler``: classes by name, torch's and our own, and their arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError, did_you_mean
from namexp.schema.fields import at_least, is_number, shown

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
OWN_OPTIMIZERS = ("SOAP",)  # of namexp.engine.optimizers
OWN_SCHEDULERS = ("WarmupCosine",)
WITHOUT_DECAY = ("Rprop", "SOAP")


@dataclass
class OptimizerConfig:
    """A class of ``torch.optim`` or of our own, its learning rate, and its other arguments in ``options``."""

    name: str
    lr: float
    weight_decay: float
    options: Any

    def __post_init__(self) -> None:
        """Ranges and the name."""
        self.options = _options("optimizer.options", self.options)
        if self.name not in (*OPTIMIZERS, *OWN_OPTIMIZERS):
            raise UserError(
                f"optimizer.name (= {shown(self.name)}) is not an optimiser that namexp trains with"
                f"{did_you_mean(self.name, (*OPTIMIZERS, *OWN_OPTIMIZERS))}"
            )
        if not is_number(self.lr) or self.lr <= 0:
            raise UserError(f"optimizer.lr (= {self.lr}) must be above 0.")
        at_least("optimizer.weight_decay", self.weight_decay, 0.0)
        if self.name in WITHOUT_DECAY and self.weight_decay > 0:
            raise UserError(
                f"optimizer.weight_decay (= {self.weight_decay:g}) has no meaning for {self.name}; set it to "
                "0."
            )
        for name in ("lr", "weight_decay"):
            if name in self.options:
                raise UserError(
                    f"optimizer.options.{name} (= {self.options[name]}) has a place of its own: set "
                    f"optimizer.{name}."
                )


@dataclass
class SchedulerConfig:
    """A class of ``torch.optim.lr_scheduler`` or of our own (or null), stepped once per epoch or per step."""

    name: Any
    options: Any
    interval: str
    monitor: str

    def __post_init__(self) -> None:
        """The name and the interval."""
        self.options = _options("scheduler.options", self.options)
        known = (*SCHEDULERS, *OWN_SCHEDULERS)
        if self.name is not None and self.name not in known:
            raise UserError(
                f"scheduler.name (= {shown(self.name)}) is not a scheduler that namexp trains with"
                f"{did_you_mean(str(self.name), known)}"
            )
        if self.interval not in ("epoch", "step"):
            raise UserError(f"scheduler.interval (= {shown(self.interval)}) must be epoch or step.")
        if self.ends_with_training and self.interval != "step":
            raise UserError(
                f"scheduler.interval (= {self.interval}) must be step for {self.name}: it counts the steps "
                "of the training."
            )
        if self.ends_with_training and "total_steps" in self.options:
            raise UserError(
                f"scheduler.options.total_steps (= {shown(self.options['total_steps'])}) follows from "
                "trainer.max_epochs and trainer.max_steps; leave it out."
            )
        gamma = self.options.get("gamma", 1.0)
        if not is_number(gamma) or gamma <= 0:
            raise UserError(f"scheduler.options.gamma (= {shown(gamma)}) must be above 0.")

    @property
    def ends_with_training(self) -> bool:
        """Whether every rate depends on how long the whole training is."""
        return self.name in OWN_SCHEDULERS


def _options(place: str, value: Any) -> dict[str, Any]:
    """Arguments by torch's names; null for none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{place} (= {shown(value)}) must be a mapping of torch's argument names to values.")
    return value

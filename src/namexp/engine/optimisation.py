"""Optimisers and schedulers by name, torch's and our own, checked before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from namexp.engine.optimizers.soap import SOAP
from namexp.engine.optimizers.warmup_cosine import WarmupCosine
from namexp.errors import UserError, one_line
from namexp.schema.optimisation import WITHOUT_DECAY, OptimizerConfig, SchedulerConfig

PLAIN = {"optimizer": "adam", "scheduler": "none"}
OWN: dict[str, Any] = {"SOAP": SOAP, "WarmupCosine": WarmupCosine}


def build_optimizer(
    parameters: Iterable[Parameter],
    config: OptimizerConfig,
    *,
    scaled_gradients: bool = False,
    together: Sequence[Sequence[Parameter]] = (),
) -> Optimizer:
    """The optimiser of the config, as one fused pass over all parameters where torch has that.

    Args:
        parameters: what learns.
        config: class and arguments.
        scaled_gradients: a fused pass would undo the scale by itself, after they were clipped.
        together: what of the parameters belongs to one network, such as a pack's submodels; an optimiser that
            looks at more than one number at a time keeps them apart.

    Raises:
        UserError: torch does not take the options.
    """
    parameters = list(parameters)
    arguments: dict[str, Any] = {"lr": config.lr, **config.options}
    if not scaled_gradients and _fuses(config, parameters):
        arguments["fused"] = True
    if config.name not in WITHOUT_DECAY:
        arguments["weight_decay"] = config.weight_decay
    try:
        if config.name in OWN:
            return OWN[config.name](_apart(parameters, together), **arguments)
        return getattr(torch.optim, config.name)(parameters, **arguments)
    except (TypeError, ValueError) as error:
        raise _refused("optimizer", config.name, config.options, error) from None


def _apart(parameters: Sequence[Parameter], together: Sequence[Sequence[Parameter]]) -> list[dict[str, Any]]:
    """A parameter group for each network; what several share stands with the first."""
    left = {id(p): p for p in parameters}
    groups = [[left.pop(id(p)) for p in own if id(p) in left] for own in together]
    return [{"params": own} for own in (*groups, list(left.values())) if own]


def _fuses(config: OptimizerConfig, parameters: list[Parameter]) -> bool:
    """Whether one pass over all parameters can do the step, unless the options choose a way."""
    if not {"fused", "foreach", "capturable", "differentiable"}.isdisjoint(config.options):
        return False
    known = config.name in ("Adam", "AdamW", "SGD", "Adagrad")
    on_gpu = any(p.device.type != "cpu" for p in parameters)  # torch has no fused Adagrad there
    return (
        known and not (on_gpu and config.name == "Adagrad") and all(map(torch.is_floating_point, parameters))
    )


def build_scheduler(optimizer: Optimizer, config: SchedulerConfig, *, total_steps: float = 1) -> Any:
    """The scheduler of the config; None where it names none.

    Args:
        optimizer: whose learning rates it sets.
        config: class and arguments.
        total_steps: of the training, for one that reaches to its end; infinite where it is not known yet.

    Raises:
        UserError: torch does not take the options, or needs others.
    """
    if config.name is None:
        return None
    try:
        if config.name in OWN:
            return OWN[config.name](optimizer, total_steps=total_steps, **config.options)
        return getattr(torch.optim.lr_scheduler, config.name)(optimizer, **config.options)
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        raise _refused("scheduler", config.name, config.options, error) from None


def check_optimisation(optimizer: OptimizerConfig, scheduler: SchedulerConfig) -> None:
    """Build both for one parameter, so that a wrong option is told before the training.

    Raises:
        UserError: as ``build_optimizer`` and ``build_scheduler``.
    """
    build_scheduler(build_optimizer([Parameter(torch.zeros(1))], optimizer), scheduler)


def _refused(group: str, name: str, options: dict[str, Any], error: Exception) -> UserError:
    return UserError(
        f"{group}.name (= {name}) does not take {group}.options (= {options}): {one_line(error)}; add one "
        f"with +{group}.options.NAME=VALUE, take one away with ~{group}.options.NAME, or choose "
        f"{group}={PLAIN[group]} before, which has none."
    )

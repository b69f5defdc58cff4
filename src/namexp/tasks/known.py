"""The one list of what can be learned: which task a ``model.kind`` belongs to.

Nothing of a task is imported before it is asked for: its config without torch, the rest when it trains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import DictConfig

from namexp.errors import UserError
from namexp.schema.experiment import ExperimentConfig, check_config, plain_config
from namexp.schema.fields import Fields

if TYPE_CHECKING:
    from namexp.engine.task import Task


class Known(NamedTuple):
    """How a task is reached."""

    config: Callable[[], type[ExperimentConfig]]
    task: Callable[[], Task[Any, Any]]


def _capture_config() -> type[ExperimentConfig]:
    from namexp.tasks.capture.config.whole import CaptureConfig

    return CaptureConfig


def _capture() -> Task[Any, Any]:
    from namexp.tasks.capture.task import Capture

    return Capture()


CAPTURE = Known(_capture_config, _capture)

KINDS: dict[str, Known] = {
    "wavenet": CAPTURE,
    "packed_wavenet": CAPTURE,
    "slimmable": CAPTURE,
}


def config_of(cfg: DictConfig | Mapping[str, Any]) -> type[ExperimentConfig]:
    """The config class of the task that a whole config is for.

    Raises:
        UserError: ``model.kind`` is missing or unknown.
    """
    kind = Fields(Fields(cfg, "").raw("model"), "model").choice("kind", KINDS)
    return KINDS[kind].config()


def task_of(config: ExperimentConfig) -> Task[Any, Any]:
    """The task that a checked config is for."""
    return KINDS[config.model.kind].task()


def parse_experiment(cfg: DictConfig | Mapping[str, Any]) -> ExperimentConfig:
    """Check a composed config, or the content of a run's config.yaml.

    Raises:
        UserError: the first setting that is misspelt, of the wrong type, out of range, or of another task.
    """
    plain = plain_config(cfg)
    own = config_of(plain)
    for group, chosen in plain.items():
        _refuse_anothers(group, chosen, own, plain["model"]["kind"])
    return check_config(plain, own)


def _refuse_anothers(group: str, chosen: Any, own: type[ExperimentConfig], kind: str) -> None:
    """A group that another task would understand, and this one does not, was chosen for the wrong model."""
    if not isinstance(chosen, Mapping) or _fits(chosen, own.groups().get(group)):
        return
    others = {known.config() for known in KINDS.values()} - {own}
    for other in sorted(others, key=lambda cls: cls.learns):
        if _fits(chosen, other.groups().get(group)):
            instead = own.options.get(group)
            raise UserError(
                f"{group} (with {', '.join(map(str, list(chosen)[:3]))}, ...) is for {other.learns}, and "
                f"model.kind {kind} is for {own.learns}; "
                + (f"choose {group}={instead}." if instead else f"leave {group} out: ~{group}.")
            )


def _fits(chosen: Mapping[str, Any], cls: type[Any] | None) -> bool:
    """Whether all settings of a group are known to a class."""
    return cls is not None and set(chosen) <= {field for field in cls.__dataclass_fields__}

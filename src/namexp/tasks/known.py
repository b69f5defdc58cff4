"""The one list of what can be learned: which task a ``model.kind`` belongs to.

Nothing of a task is imported before it is asked for: its config without torch, the rest when it trains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.errors import HydraException
from omegaconf import DictConfig

from namexp.errors import UserError
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.schema.composition import composed, explain
from namexp.schema.experiment import ExperimentConfig, check_config, plain_config
from namexp.schema.fields import Fields
from namexp.schema.resuming import stored_config

if TYPE_CHECKING:
    from namexp.engine.task import Task
    from namexp.tasks.doors import Doors


def _no_doors() -> Doors:
    raise UserError("models of this task have no part in this command; they are trained and reported.")


class Known(NamedTuple):
    """How a task is reached."""

    config: Callable[[], type[ExperimentConfig]]
    task: Callable[[], Task[Any, Any]]
    doors: Callable[[], Doors] = _no_doors


def _capture_config() -> type[ExperimentConfig]:
    from namexp.tasks.capture.config.whole import CaptureConfig

    return CaptureConfig


def _capture() -> Task[Any, Any]:
    from namexp.tasks.capture.task import Capture

    return Capture()


def _capture_doors() -> Doors:
    from namexp.tasks.capture.doors import CaptureDoors

    return CaptureDoors()


def _vocoder_config() -> type[ExperimentConfig]:
    from namexp.tasks.vocoder.config.whole import VocoderConfig

    return VocoderConfig


def _vocoder() -> Task[Any, Any]:
    from namexp.tasks.vocoder.task import Vocoder

    return Vocoder()


def _vocoder_doors() -> Doors:
    from namexp.tasks.vocoder.doors import VocoderDoors

    return VocoderDoors()


def _flow_config() -> type[ExperimentConfig]:
    from namexp.tasks.vocoder.config.flow import FlowConfig

    return FlowConfig


def _flow() -> Task[Any, Any]:
    from namexp.tasks.vocoder.flows.task import Flow

    return Flow()


def _flow_doors() -> Doors:
    from namexp.tasks.vocoder.flows.doors import FlowDoors

    return FlowDoors()


def _density_config() -> type[ExperimentConfig]:
    from namexp.tasks.density.config.whole import DensityConfig

    return DensityConfig


def _density() -> Task[Any, Any]:
    from namexp.tasks.density.task import Density

    return Density()


def _density_doors() -> Doors:
    from namexp.tasks.density.doors import DensityDoors

    return DensityDoors()


CAPTURE = Known(_capture_config, _capture, _capture_doors)
DENSITY = Known(_density_config, _density, _density_doors)
VOCODER = Known(_vocoder_config, _vocoder, _vocoder_doors)
FLOW = Known(_flow_config, _flow, _flow_doors)

# names of the official codes' checkpoints
OFFICIAL = re.compile(r"(g|do)_\d+|generator_v\d")
OFFICIAL_FLOW = re.compile(r"waveflow_\d+")

KINDS: dict[str, Known] = {
    "wavenet": CAPTURE,
    "packed_wavenet": CAPTURE,
    "slimmable": CAPTURE,
    "hifigan": VOCODER,
    "waveflow": FLOW,
    "nanoflow": FLOW,
    "nanoflow_decomp": FLOW,
    "nanoflow_naive": FLOW,
    "glow": DENSITY,
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
    fitting = sorted(other.learns for other in others if _fits(chosen, other.groups().get(group)))
    if fitting:
        instead = own.options.get(group)
        raise UserError(
            f"{group} (with {', '.join(map(str, list(chosen)[:3]))}, ...) is for {' and '.join(fitting)}, "
            "and "
            f"model.kind {kind} is for {own.learns}; "
            + (f"choose {group}={instead}." if instead else f"leave {group} out: ~{group}.")
        )


def _fits(chosen: Mapping[str, Any], cls: type[Any] | None) -> bool:
    """Whether all settings of a group are known to a class."""
    return cls is not None and set(chosen) <= {field for field in cls.__dataclass_fields__}


# --- finished models --------------------------------------------------------------------------------


def doors_at(path: Path, config: Path | None = None) -> Doors:
    """The commands' part for the model, or the run, at ``path``; for one of an amp where nothing is said.

    Args:
        path: of it.
        config: an official code's configuration, where it is named.
    """
    return _known_at(path, config).doors()


def doors_of(config: ExperimentConfig) -> Doors:
    """The commands' part for models of a config."""
    return KINDS[config.model.kind].doors()


def named_model(option: str, conf: str) -> ExperimentConfig:
    """The config that ``model=option`` stands for.

    Raises:
        UserError: there is no such option.
    """
    try:
        return parse_experiment(composed([f"model={option}"], conf))
    except HydraException as error:
        raise explain(error, [f"model={option}"], conf) from None


def _known_at(path: Path, given: Path | None) -> Known:
    if path.is_dir():
        config = RunLayout(path).config
        if config.exists():
            return KINDS.get(_kind(stored_config(config)), CAPTURE)
        names = [found.name for found in path.iterdir()]
        if any(map(OFFICIAL_FLOW.fullmatch, names)):
            return FLOW
        return VOCODER if any(map(OFFICIAL.fullmatch, names)) else CAPTURE
    if not path.exists():
        raise UserError(f"{path}: no such file; give a run directory, a checkpoint or a model.")
    suffix = path.suffix.lower()
    if suffix == ".safetensors":
        from namexp.engine.stored import kind_of

        return KINDS.get(kind_of(path), VOCODER)
    if suffix in ("", ".pth", ".pt"):
        if holds_official_flow(path, given):
            return FLOW
        beside = given or path.with_name("config.json")
        return VOCODER if OFFICIAL.fullmatch(path.name) or beside.is_file() else CAPTURE
    if suffix == ".ckpt":
        from namexp.engine.checkpoint import load_checkpoint

        return KINDS.get(_kind(load_checkpoint(path, verified=False)["namexp"]), CAPTURE)
    return CAPTURE


def holds_official_flow(path: Path, config: Path | Mapping[str, Any] | None = None) -> bool:
    """Whether an official file is a flow's: its name tells, or else its configuration.

    Args:
        path: of the file.
        config: the configuration, or the file of it; None: ``config.json`` beside it.
    """
    if OFFICIAL_FLOW.fullmatch(path.name):
        return True
    if not isinstance(config, Mapping):
        beside = config or path.with_name("config.json")
        if OFFICIAL.fullmatch(path.name) or not beside.is_file():
            return False
        config = read_json(beside)
    return "waveflow_config" in config or "coupling_type" in config


def _kind(config: Mapping[str, Any]) -> str:
    model = config.get("model")
    return str(model.get("kind")) if isinstance(model, Mapping) else ""

"""What may be said to a run that is continued: nothing that could change the training so far."""

from __future__ import annotations

import copy
import io
import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from namexp.errors import UserError, one_line
from namexp.reading.plain import check_plain
from namexp.reading.yaml_text import read_yaml_text
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.fields import shown

GROUPS = ("logger", "callbacks")
DEVICE = ("accelerator", "devices", "num_nodes", "deterministic", "threads", "cuda_graph")
LENGTH = ("max_epochs", "max_steps", "log_every_n_steps")
AUTO = "auto"
NEEDED = ("model", "trainer")  # groups of every stored config
_MISSING = object()


def allowed(cls: type[ExperimentConfig]) -> tuple[str, ...]:
    """Groups and settings that may be said anew. Files may be moved: their content is compared."""
    return (*GROUPS, *cls.neutral, *(f"trainer.{name}" for name in (*LENGTH, *DEVICE)), *_single_files(cls))


def _single_files(cls: type[ExperimentConfig]) -> list[str]:
    """Those that a command line can name: not those in the items of a list."""
    return [place for place in cls.files if place.count(".") == 1]


def resume_argument(arguments: Sequence[str]) -> str | None:
    """The value of ``resume=`` among command line arguments, as text; None without one, or null.

    A directory's name is taken as it stands, whatever Hydra's grammar makes of it; the name that the grammar
    reads counts where there is none of the other.

    Raises:
        UserError: it is empty.
    """
    for argument in reversed(arguments):  # of two the last one counts
        if not argument.startswith("resume="):
            continue
        name = argument.removeprefix("resume=")
        if name.lower() == "null":
            return None
        if name != AUTO and not os.path.isdir(name):
            name = _as_hydra_reads(argument) or name
        if not name.strip():
            raise UserError("resume= is empty; give the directory of a run, or auto.")
        return name
    return None


def _as_hydra_reads(argument: str) -> str | None:
    """The text, out of its quotes; None where it reads a number, a list or nothing."""
    try:
        value = OverridesParser.create().parse_override(argument).value()
    except HydraException:
        return None
    # as the config would have it: \${ is no interpolation
    return re.sub(r"((?:\\\\)*)\\\$\{", _halved, value) if isinstance(value, str) else None


def _halved(escaped: re.Match[str]) -> str:
    return f"{escaped[1][: len(escaped[1]) // 2]}${{"


def forced(argument: str, cls: type[ExperimentConfig]) -> str:
    """``argument`` of a command line that continues a run, so that Hydra takes it.

    Hydra composes the defaults, here of another task: a setting that this one allows is added by force.
    """
    key = argument.partition("=")[0]
    is_neutral = any(key == place or key.startswith(f"{place}.") for place in cls.neutral) and "." in key
    is_own = is_neutral or key in _single_files(cls)
    return f"++{argument}" if is_own else argument


def stored_config(path: Path) -> dict[str, Any]:
    """The resolved config of a run, as plain values, taken literally: nothing in it is looked up.

    Raises:
        UserError: missing or damaged.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file, so {path.parent} is not a run directory.")
    text = read_yaml_text(path, literal=True)
    try:
        content = OmegaConf.to_container(OmegaConf.load(io.StringIO(text)), resolve=False)
    except Exception as error:  # YAML has many kinds of errors
        raise UserError(f"{path}: cannot be read: {one_line(error)}.") from None
    if not isinstance(content, dict) or not content:
        raise UserError(f"{path}: must hold the groups of a config, got {shown(content)}.")
    check_plain(content, f"{path}:")
    config = {str(key): value for key, value in content.items()}
    for group in NEEDED:
        if not isinstance(config.get(group), dict):
            raise UserError(f"{path}: {group} (= {shown(config.get(group))}) must be a group of settings.")
    return config


def continued_config(
    stored: Mapping[str, Any], composed: DictConfig, overrides: Sequence[str], cls: type[ExperimentConfig]
) -> dict[str, Any]:
    """The config of a continued run: what it was started with, and what the overrides say.

    Args:
        stored: the run's config.yaml.
        composed: what Hydra made of the overrides and the defaults.
        overrides: of the command line.
        cls: of the config.

    Raises:
        UserError: an override could change the training so far.
    """
    config = copy.deepcopy(dict(stored))
    parsed = OverridesParser.create().parse_overrides(overrides=list(overrides))
    may_change = allowed(cls)
    for override in parsed:
        key = override.key_or_group
        if key in ("resume", "hydra") or key.startswith("hydra."):
            continue
        if key in may_change and "." not in key:
            config[key] = OmegaConf.to_container(composed[key], resolve=True)
        elif key == "trainer":
            for name in DEVICE:
                config["trainer"][name] = composed.trainer[name]
        elif any(key == place or key.startswith(f"{place}.") for place in may_change):
            _put(config, override, composed, _single_files(cls))
        elif _value(composed, key) is _MISSING or _value(composed, key) != _value(stored, key):
            raise UserError(
                f"{override.input_line} cannot be combined with resume: it could change the training so far; "
                f"allowed are {', '.join(may_change)} and trainer=cpu|gpu. For another training from these "
                "weights use init_from=RUN."
            )
    return config


def _put(config: dict[str, Any], override: Override, composed: DictConfig, files: Collection[str]) -> None:
    *places, name = override.key_or_group.split(".")
    node: Any = config
    for place in places:
        node = node.get(place) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        raise UserError(f"{override.input_line}: the run's {'.'.join(places)} has no settings of its own.")
    if override.is_delete():
        node.pop(name, None)
        return
    value = _value(composed, override.key_or_group)
    assert value is not _MISSING, f"composed without {shown(override.input_line)}"
    node[name] = os.path.abspath(os.path.expanduser(value)) if override.key_or_group in files else value


def _value(config: Mapping[str, Any] | DictConfig, key: str) -> Any:
    """The value at a dotted place, as plain values; for a group's choice the whole group."""
    tree = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
    value = OmegaConf.select(tree, key, default=_MISSING)
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value

"""The config of one training, whatever is learned: groups that every task has, and what a task declares."""

from __future__ import annotations

import dataclasses
import os
from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar, get_type_hints

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from namexp.errors import UserError, did_you_mean
from namexp.reading.plain import encodable
from namexp.schema.callbacks import CallbacksConfig
from namexp.schema.fields import Fields, as_integer, is_list, shown
from namexp.schema.group import parse_group, reason
from namexp.schema.identifying import JOINED, NEUTRAL, Identifying
from namexp.schema.initial import SETTINGS as INITIAL
from namexp.schema.initial import Initial, parse_initial
from namexp.schema.logger import LoggerConfig
from namexp.schema.metric import VAL_LOSS, Metric
from namexp.schema.optimisation import OWN_OPTIMIZERS, OptimizerConfig, SchedulerConfig
from namexp.schema.trainer import TrainerConfig

MAX_SEED = 2**32 - 1  # what numpy's generators take


@dataclass(kw_only=True)
class ExperimentConfig(ABC):
    """One training. A task adds its groups as fields and declares on its class what the rest must know.

    Class attributes:
        learns: what is learned, for people: ``amps``.
        models: the class of the group ``model`` by ``model.kind``.
        metrics: of a validation. The first is the headline: it ranks runs, stops early and is searched for.
        files: settings that name files. They are made absolute, may move, and their content counts for
            the training's identity in place of the name. ``data.pairs.input``: in every item of a list.
        neutral: groups and settings of this task that cannot change the weights; they may be changed when
            a run is continued.
        joined: settings of this task that joined later, with the value that stands for what was before them:
            as long as they have it they do not count for the identity, which so stays what it was.
        options: what to choose for a group of this task, for people: ``{"data": "normalized or raw"}``.
        abilities: what only some tasks can do: settings that are refused of the others.
    """

    seed: int
    model: Any
    optimizer: OptimizerConfig
    scheduler: SchedulerConfig
    trainer: TrainerConfig
    callbacks: CallbacksConfig
    logger: LoggerConfig
    init_from: Any = None
    init_average: Any = None
    init_epsilon: Any = None
    init_partial: Any = False

    learns: ClassVar[str]
    models: ClassVar[Mapping[str, type[Any]]]
    metrics: ClassVar[tuple[Metric, ...]]
    files: ClassVar[tuple[str, ...]] = ()
    neutral: ClassVar[tuple[str, ...]] = ()
    joined: ClassVar[Mapping[str, Any]] = {}
    options: ClassVar[Mapping[str, str]] = {}
    abilities: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        """What holds for every task; a task's own checks follow."""
        self.initial: Initial | None = parse_initial({name: getattr(self, name) for name in INITIAL})
        self._check_abilities()
        as_integer(self.seed, "seed", minimum=0)
        if self.seed > MAX_SEED:
            raise UserError(f"seed (= {self.seed}) must be at most {MAX_SEED}.")
        if self.callbacks.stop_at_esr is not None and self.headline.name != "ESR":
            raise UserError(
                f"callbacks.stop_at_esr (= {self.callbacks.stop_at_esr:g}) is for amps; use "
                f"callbacks.stop_at, which means {self.headline.name} here."
            )
        self._check_plateau()

    @classmethod
    def groups(cls) -> dict[str, type[Any]]:
        """The class of every group but ``model``, by its name."""
        hints = get_type_hints(cls)
        own = (field.name for field in dataclasses.fields(cls))
        return {name: hints[name] for name in own if dataclasses.is_dataclass(hints[name])}

    @classmethod
    def identifying(cls) -> Identifying:
        """What counts for the identity of a training: everything but settings that cannot change weights."""
        return Identifying((*NEUTRAL, *cls.neutral, *cls.files), {**JOINED, **cls.joined})

    @property
    def headline(self) -> Metric:
        """The metric by which runs are ranked."""
        return self.metrics[0]

    def _check_abilities(self) -> None:
        """Refuse what this task cannot do."""
        asked = {
            "init_average": self.init_average,
            "init_partial": self.init_partial,
            "trainer.recompute": self.trainer.recompute,
        }
        for name, value in asked.items():
            if value not in (None, False) and name not in self.abilities:
                raise UserError(
                    f"{name} (= {shown(value)}) has no meaning for {self.learns}, which have no such thing; "
                    "leave it out."
                )
        ability = f"optimizer.name={self.optimizer.name}"
        if self.optimizer.name in OWN_OPTIMIZERS and ability not in self.abilities:
            raise UserError(
                f"optimizer.name (= {shown(self.optimizer.name)}) is not for {self.learns}: it is made for "
                "the small matrices of amps; leave out optimizer=soap, or name an optimiser of torch."
            )

    def _check_plateau(self) -> None:
        """See that a plateau can be looked for in what the scheduler watches, if it does, and which way."""
        if self.scheduler.name != "ReduceLROnPlateau":
            return
        if self.scheduler.interval != "epoch":
            raise UserError(
                f"scheduler.interval (= {self.scheduler.interval}) must be epoch for ReduceLROnPlateau: "
                "what it watches is measured at the end of an epoch."
            )
        known = {metric.name: metric for metric in (VAL_LOSS, *self.metrics)}
        watched = known.get(self.scheduler.monitor)
        if watched is None:
            raise UserError(
                f"scheduler.monitor (= {shown(self.scheduler.monitor)}) must be one of {', '.join(known)}."
            )
        if watched.better == "higher":
            self.scheduler.options.setdefault("mode", "max")


C = TypeVar("C", bound=ExperimentConfig)


def plain_config(cfg: DictConfig | Mapping[str, Any]) -> dict[str, Any]:
    """A composed tree, or the content of a run's config.yaml, as plain values with nothing left open.

    Raises:
        UserError: a value is missing or refers to nothing.
    """
    try:
        tree = cfg if isinstance(cfg, DictConfig) else OmegaConf.create(dict(cfg))
        plain = OmegaConf.to_container(tree, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key or 'config'}: {reason(error)}") from None
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def check_config(plain: Mapping[str, Any], cls: type[C]) -> C:
    """Plain values as the checked config of a task.

    Raises:
        UserError: the first setting that is misspelt, of the wrong type or out of range.
    """
    check_text(plain, "")
    fields = Fields(plain, "")
    seed = fields.integer("seed", minimum=0)
    initial = {name: fields.raw(name, None) for name in INITIAL}
    fields.raw("resume", None)  # says where to run, not what
    kind = fields.section("model").choice("kind", cls.models)
    model = parse_group("model", fields.raw("model"), cls.models[kind])
    groups = {name: parse_group(name, fields.raw(name), group) for name, group in cls.groups().items()}
    fields.finish()
    return cls(seed=seed, model=model, **initial, **groups)


def check_text(value: Any, place: str) -> None:
    """Refuse text that no file can hold, such as a byte of another encoding on the command line.

    Args:
        value: plain values.
        place: where they stand, for errors.

    Raises:
        UserError: names the setting.
    """
    if isinstance(value, str) and not encodable(value):
        raise UserError(
            f"{place} (= {ascii(value)[:80]}) is no text: a byte of it is not UTF-8; write it in UTF-8, or, "
            "of a file, rename it."
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_text(key, place)
            check_text(item, f"{place}.{key}" if place else str(key))
    elif is_list(value):
        for i, item in enumerate(value):
            check_text(item, f"{place}[{i}]")


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


def resolved_config(cfg: DictConfig, cls: type[ExperimentConfig]) -> dict[str, Any]:
    """The composed config as plain values, files by their absolute paths; what a run keeps."""
    resolved = plain_config(cfg)
    resolved.pop("resume", None)
    for place in (*cls.files, "init_from"):
        *path, name = place.split(".")
        for item in _items(resolved, path):
            if isinstance(item.get(name), str):
                item[name] = os.path.abspath(os.path.expanduser(item[name]))
    return resolved


def _items(node: Any, path: list[str]) -> Iterator[dict[str, Any]]:
    """The mappings at a dotted place, those of a list one after the other."""
    if isinstance(node, list):
        for item in node:
            yield from _items(item, path)
    elif isinstance(node, dict):
        if path:
            yield from _items(node.get(path[0]), path[1:])
        else:
            yield node


def named_files(config: Mapping[str, Any], cls: type[ExperimentConfig]) -> dict[str, list[Any]]:
    """What the settings that name files say, by setting."""
    found = {}
    for place in cls.files:
        *path, name = place.split(".")
        found[place] = [item.get(name) for item in _items(dict(config), path)]
    return found


def require_files(config: Mapping[str, Any], cls: type[ExperimentConfig]) -> None:
    """See that the files which a new training reads are there, before anything slow is begun.

    Args:
        config: resolved.
        cls: of the config.

    Raises:
        UserError: the first that is not.
    """
    named = {**named_files(config, cls), "init_from": [config.get("init_from")]}
    for setting, paths in named.items():
        for path in paths:
            if isinstance(path, str) and not os.path.exists(path):
                raise UserError(f"{path}: no such file or directory ({setting}).")

"""The jobs that a sweep directory promises, begun or not."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

BASIC_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def planned_jobs(sweep: Path) -> list[tuple[str, ...]] | None:
    """The overrides of every job, in the order of their numbers, from ``multirun.yaml``.

    Written as Hydra's own sweeper writes them into each job's ``.hydra/overrides.yaml``.

    Returns:
        None where nobody knows: no ``multirun.yaml``, a damaged one, or a sweeper that decides as
        it goes (Optuna).
    """
    try:
        content = yaml.safe_load((sweep / "multirun.yaml").read_text(encoding="utf-8"))
        hydra = content["hydra"]
        if hydra["sweeper"]["_target_"] != BASIC_SWEEPER:
            return None
        texts = _from_params(hydra["sweeper"].get("params")) + list(hydra["overrides"]["task"])
        overrides = OverridesParser.create().parse_overrides(texts)
        choices: dict[str, list[str]] = {}  # of two with one key the second counts, in the first's place
        for override in overrides:
            key = override.get_key_element()
            values = (
                override.sweep_string_iterator()
                if override.is_sweep_override()
                else [override.get_value_element_as_str()]
            )
            choices[key] = [f"{key}={value}" for value in values]
    except (OSError, UnicodeError, yaml.YAMLError, HydraException, KeyError, TypeError, ValueError):
        return None
    return list(itertools.product(*choices.values()))


def _from_params(params: Mapping[str, Any] | None) -> list[str]:
    """``hydra.sweeper.params`` as overrides."""
    return [f"{key}={value}" for key, value in (params or {}).items()]

"""What a multirun is to do, told by Hydra before the first job starts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from namexp.runs.files import write_json
from namexp.runs.sweep import SweepLayout, read_record


class SweepRefused(BaseException):
    """The directory holds another sweep. No Exception: Hydra would turn that into a warning."""


class SweepRecord(Callback):
    """Writes ``sweep.json``: which jobs there are, so that it can be told which ones are missing."""

    started: Path | None = None  # the sweep directory of this process

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called once, in the process that the user started."""
        sweep = SweepLayout(Path(config.hydra.sweep.dir))
        task = [str(override) for override in config.hydra.overrides.task]
        params = config.hydra.sweeper.get("params") or {}
        whole = [*(f"{key}={value}" for key, value in params.items()), *task]
        searched = config.hydra.sweeper._target_.endswith("SearchSweeper")  # it finds its jobs as it goes
        record = {
            "task": _own(task),
            "hydra": [str(override) for override in config.hydra.overrides.hydra],
            "cwd": config.hydra.runtime.cwd,
            "space": _own(whole) if searched else None,
            "jobs": [] if searched else [{"overrides": _own(job)} for job in expand(whole)],
        }
        before = read_record(sweep) if sweep.record.exists() else None
        if before is None:
            write_json(sweep.record, record)
        elif before["space"] != record["space"] or (not searched and before["jobs"] != record["jobs"]):
            raise SweepRefused(f"{sweep.root}: holds another sweep; choose another hydra.sweep.dir.")
        elif "resume=auto" not in task:
            raise SweepRefused(
                f"{sweep.root}: holds this sweep already; go on with it by python -m namexp.sweep resume."
            )
        SweepRecord.started = sweep.root


def _own(overrides: Sequence[str]) -> list[str]:
    """What describes the experiment; not whether it is continued."""
    return [override for override in overrides if not override.startswith("resume=")]


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of swept values, in the order in which Hydra's basic sweeper numbers them."""
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides(overrides=list(overrides)):
        key = override.get_key_element()
        if override.is_sweep_override():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
    return [list(job) for job in itertools.product(*choices.values())]

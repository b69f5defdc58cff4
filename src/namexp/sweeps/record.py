"""What a multirun is to do, told by Hydra before the first job starts."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from namexp.errors import one_line
from namexp.runs.files import write_json
from namexp.schema.resuming import AUTO
from namexp.sweeps.directory import SweepLayout, read_record
from namexp.sweeps.flags import flags_of
from namexp.sweeps.slurm import tell_what_is_waited_for
from namexp.sweeps.workers import let_workers_finish, runs_in_workers

NOT_A_RUN = (
    "resume (= {}) continues one run; a sweep is continued by python -m namexp.sweep resume SWEEP, one "
    "of its jobs by resume=SWEEP/NUMBER without -m."
)


class SweepRefused(BaseException):
    """A sweep that cannot begin. No Exception: Hydra would turn that into a warning."""


class InterruptedSweepError(Exception):
    """Ctrl-C has ended this job, or kept it from beginning. An Exception: Hydra waits for the others."""


class SweepRecord(Callback):
    """Writes ``sweep.json``: which jobs there are, so that it can be told which ones are missing."""

    started: Path | None = None  # the sweep directory of this process

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called once, in the process that the user started."""
        try:
            self._begin(config)
        except Exception as error:
            # Hydra would only warn, and run jobs of which nothing is known
            raise SweepRefused(f"the sweep cannot be recorded: {one_line(error)}") from error

    def _begin(self, config: DictConfig) -> None:
        if config.resume not in (None, AUTO):
            raise SweepRefused(NOT_A_RUN.format(config.resume))
        sweep = SweepLayout(Path(config.hydra.sweep.dir))
        task, hydra = _texts(config.hydra.overrides, "task"), _texts(config.hydra.overrides, "hydra")
        if any(override.startswith("hydra.sweep.subdir=") for override in hydra):
            raise SweepRefused("hydra.sweep.subdir must stay the job's number: jobs are found by it.")
        params = config.hydra.sweeper.get("params") or {}
        whole = [*(f"{key}={value}" for key, value in params.items()), *task]
        searched = config.hydra.sweeper._target_.endswith("SearchSweeper")  # it finds its jobs as it goes
        record = {
            "task": _own(task),
            "hydra": hydra,
            "flags": flags_of(sys.argv[1:]),
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
        sweep.remove_leftovers()
        sweep.interrupted.unlink(missing_ok=True)
        if runs_in_workers(config.hydra.launcher):
            let_workers_finish(sweep)
        if config.hydra.launcher._target_.endswith("SlurmLauncher"):
            tell_what_is_waited_for()


def _texts(config: DictConfig, key: str) -> list[str]:
    """Overrides as they were given: ``${...}`` in them is each job's own."""
    found = OmegaConf.to_container(config[key], resolve=False)
    assert isinstance(found, list)
    return [str(item) for item in found]


def _own(overrides: Sequence[str]) -> list[str]:
    """What describes the experiment; not whether it is continued."""
    return [override for override in overrides if not override.startswith("resume=")]


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """Every combination of swept values, in the order in which Hydra's basic sweeper numbers them."""
    choices: dict[str, list[str]] = {}
    hydra = GlobalHydra.instance()
    # glob(...) needs to know the options of a group
    parser = OverridesParser.create(hydra.config_loader() if hydra.is_initialized() else None)
    for override in parser.parse_overrides(overrides=list(overrides)):
        key = override.get_key_element()
        if override.is_sweep_override():
            choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            choices[key] = [f"{key}={override.get_value_element_as_str()}"]
    return [list(job) for job in itertools.product(*choices.values())]

"""From a command line to jobs: how Hydra is started, and what its answers mean to people."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from namexp.conf_dir import conf_dir
from namexp.door import FAILED, OK, say, shown
from namexp.engine.execution import Execution
from namexp.errors import UserError, one_line
from namexp.ranks.place import Place, launched_place
from namexp.runs.layout import RunLayout
from namexp.schema.composition import composed, explain
from namexp.schema.resuming import AUTO, forced, resume_argument, stored_config
from namexp.sweeps.directory import SweepLayout, job_table, read_jobs, unfinished
from namexp.sweeps.record import NOT_A_RUN, SweepRecord, SweepRefused
from namexp.sweeps.slurm import wait_for_others

MULTIRUN = {"-m", "--multirun"}


def launch(hydra_main: Callable[[], Any], execution: Execution) -> int:
    """Run what the command line asks for; the exit status.

    Args:
        hydra_main: calls ``execution`` for every job.
        execution: keeps why a single run failed.
    """
    _flags_first()
    place = launched_place()
    return _run_hydra(hydra_main, execution) if place is None else _launched(place, hydra_main, execution)


def _flags_first() -> None:
    """Hydra takes -m only before the first override."""
    flags = [argument for argument in sys.argv[1:] if argument in MULTIRUN]
    rest = [argument for argument in sys.argv[1:] if argument not in MULTIRUN]
    sys.argv[1:] = [*flags[:1], *rest]


def _launched(place: Place, hydra_main: Callable[[], Any], execution: Execution) -> int:
    """One of the processes that torchrun or srun has started: the first decides for all."""
    if place.rank > 0:
        from namexp.engine.follow import follow

        return follow(place)
    try:
        if MULTIRUN & set(sys.argv):
            raise UserError(
                "-m (a sweep) cannot run inside torchrun or srun, which start processes for one training; "
                "start it without them: with trainer=ddp every job starts its own."
            )
        return _run_hydra(hydra_main, execution)
    finally:
        from namexp.ranks.team import release_launched

        release_launched(place)


def _run_hydra(hydra_main: Callable[[], Any], execution: Execution) -> int:
    # Otherwise Hydra prints a traceback of its own and exits
    os.environ["HYDRA_FULL_ERROR"] = "1"
    _enter_resumed_run(execution)
    try:
        hydra_main()
    except SweepRefused as error:
        raise UserError(one_line(error)) from None
    except (KeyboardInterrupt, SystemExit) as error:
        if SweepRecord.started is None:
            raise
        _end_sweep(SweepRecord.started)
        raise KeyboardInterrupt from error
    except Exception as error:
        root = SweepRecord.started
        if root is None or not unfinished(root):  # no job's failure, then
            raise _explained(error) from None
        wait_for_others()
        _end_sweep(root)  # the jobs have said why, each in its own directory
        if SweepLayout(root).interrupted.exists():
            raise KeyboardInterrupt from None
        return FAILED
    if execution.failure is not None:
        raise execution.failure
    return OK if SweepRecord.started is None else _end_sweep(SweepRecord.started)


def _explained(error: Exception) -> Exception:
    if isinstance(error, HydraException | OmegaConfBaseException):
        return explain(error, sys.argv[1:], conf_dir())
    # Hydra's answer to model=null
    if isinstance(error, ValueError) and str(error).startswith("Config group override"):
        return UserError(f"a group cannot be null, choose one of its options: {one_line(error)}")
    return error


def _end_sweep(root: Path) -> int:
    """Say what has become of every job."""
    say(f"\n{job_table(read_jobs(SweepLayout(root)))}\nsweep    {shown(root)}")
    if not unfinished(root):
        return OK
    say(f"run the rest by: python -m namexp.sweep resume {shlex.quote(shown(root))}", error=True)
    return FAILED


# --- a run that is continued ----------------------------------------------------------------------


def _enter_resumed_run(execution: Execution) -> None:
    """Let Hydra work in the directory of the run that is continued, and leave its notes alone."""
    root = resume_argument(sys.argv[1:])
    if root is None or root == AUTO:
        return
    if MULTIRUN & set(sys.argv):
        raise UserError(NOT_A_RUN.format(root))
    if any(argument.startswith("hydra.run.dir=") for argument in sys.argv):
        raise UserError(
            f"resume (= {root}) continues the run where it lies; leave hydra.run.dir out, or copy the run "
            "first."
        )
    _check_run(Path(root))
    cls = execution.tasks.config_of(stored_config(RunLayout(Path(root)).config))
    if cls is not execution.tasks.config_of(composed((), conf_dir())):
        sys.argv[1:] = [forced(argument, cls) for argument in sys.argv[1:]]
    text = root.replace("\\", "\\\\").replace("'", "\\'")
    sys.argv += [f"hydra.run.dir='{text}'", "hydra.output_subdir=null"]


def _check_run(root: Path) -> None:
    """What can be said without reading anything of the run."""
    if not root.is_dir():
        raise UserError(f"resume (= {root}): no such directory; give the directory of a run.")
    if SweepLayout(root).record.exists():
        raise UserError(NOT_A_RUN.format(root))
    if not RunLayout(root).config.exists():
        raise UserError(f"resume (= {root}): holds no config.yaml, so it is not a run that has begun.")

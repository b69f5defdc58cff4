"""From a command line to jobs: how Hydra is started, and what its answers mean to people."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from namexp.conf_dir import conf_dir
from namexp.door import FAILED, OK, argument, in_hydras_words, say, shown
from namexp.engine.execution import Execution
from namexp.errors import UserError, one_line
from namexp.ranks.place import Place, launched_place
from namexp.runs.layout import RunLayout
from namexp.schema.composition import composed, explain
from namexp.schema.resuming import AUTO, forced, resume_argument, stored_config
from namexp.sweeps.directory import SweepLayout, job_table, read_jobs, unfinished
from namexp.sweeps.flags import flags_and_rest
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
    _refuse_rerun()
    place = launched_place()
    return _run_hydra(hydra_main, execution) if place is None else _launched(place, hydra_main, execution)


def _flags_first() -> None:
    """Hydra takes -m, --config-dir and --config-name only before the first override."""
    where, words = flags_and_rest(sys.argv[1:])
    flags = [word for word in words if word in MULTIRUN]
    rest = [word for word in words if word not in MULTIRUN]
    sys.argv[1:] = [*flags[:1], *where, *rest]


def _refuse_rerun() -> None:
    """Of ``--experimental-rerun``, which may be shortened: Hydra would unpickle the file."""
    for flag in sys.argv[1:]:
        if flag.startswith("--e") and "--experimental-rerun".startswith(flag.partition("=")[0]):
            raise UserError(
                f"{flag}: runs of namexp keep no config.pickle; continue one by resume=RUN, or train "
                "it again by the command in its report.html."
            )


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
    try:
        with _in_resumed_run(execution):
            hydra_main()
    except SweepRefused as error:
        raise UserError(one_line(error)) from None
    except (KeyboardInterrupt, SystemExit) as error:
        if SweepRecord.started is None:
            raise
        _end_sweep(SweepRecord.started)
        raise KeyboardInterrupt from error
    except Exception as raised:
        failure, root = _of_joblib(raised), SweepRecord.started
        interrupted = root is not None and SweepLayout(root).interrupted.exists()
        if root is None or not (interrupted or unfinished(root)):  # no job's failure, then
            raise _explained(failure) from None
        if not interrupted:
            wait_for_others()
        _end_sweep(root)  # the jobs have said why, each in its own directory
        if interrupted:
            raise KeyboardInterrupt from None
        if isinstance(failure, UserError) and not _is_told(failure, root):
            raise failure from None
        return FAILED
    if execution.failure is not None:
        raise execution.failure
    return OK if SweepRecord.started is None else _end_sweep(SweepRecord.started)


def _of_joblib(error: Exception) -> Exception:
    """What it says of a worker that was killed, in one line; joblib itself may not be installed."""
    if type(error).__name__ != "TerminatedWorkerError":
        return error
    return UserError(
        "a process that worked on jobs was ended from outside; is there enough memory for so many of them "
        "(hydra.launcher.n_jobs)?"
    )


def _explained(error: Exception) -> Exception:
    if isinstance(error, HydraException | OmegaConfBaseException):
        return explain(error, sys.argv[1:], conf_dir())
    # Hydra's answer to model=null
    if isinstance(error, ValueError) and str(error).startswith("Config group override"):
        return UserError(f"a group cannot be null, choose one of its options: {one_line(error)}")
    if isinstance(error, ValueError | AssertionError) and _is_raised_by_hydra(error):  # flags
        return UserError(f"{one_line(error)}; see --hydra-help.")
    return error


def _is_raised_by_hydra(error: Exception) -> bool:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__")).startswith("hydra.")


def _is_told(error: UserError, root: Path) -> bool:
    """Whether a job has ended so: else the sweep itself could not go on."""
    return any(one_line(error) in (job.reason or "") for job in read_jobs(SweepLayout(root)))


def _end_sweep(root: Path) -> int:
    """Say what has become of every job."""
    say(f"\n{job_table(read_jobs(SweepLayout(root)))}\nsweep    {shown(root)}")
    if not unfinished(root):
        return OK
    say(f"run the rest by: python -m namexp.sweep resume {argument(root)}", error=True)
    return FAILED


# --- a run that is continued ----------------------------------------------------------------------


@contextlib.contextmanager
def _in_resumed_run(execution: Execution) -> Iterator[None]:
    """Let Hydra work in the directory of the run that is continued, and leave its notes alone."""
    name = resume_argument(sys.argv[1:])
    if name is None or name == AUTO:
        yield
        return
    if MULTIRUN & set(sys.argv):
        raise UserError(NOT_A_RUN.format(name))
    if any(argument.startswith("hydra.run.dir=") for argument in sys.argv):
        raise UserError(
            f"resume (= {name}) continues the run where it lies; leave hydra.run.dir out, or copy the run "
            "first."
        )
    root = execution.continued = Path(os.path.abspath(name))
    _check_run(root, name)
    cls = execution.tasks.config_of(stored_config(RunLayout(root).config))
    if cls is not execution.tasks.config_of(composed((), conf_dir())):
        sys.argv[1:] = [forced(argument, cls) for argument in sys.argv[1:]]
    with _without_interpolation(root) as alias:
        others = [argument for argument in sys.argv if not argument.startswith("resume=")]
        words = {"resume": name, "hydra.run.dir": str(alias)}
        sys.argv = [*others, *(f"{key}={in_hydras_words(text)}" for key, text in words.items())]
        sys.argv.append("hydra.output_subdir=null")
        yield


@contextlib.contextmanager
def _without_interpolation(root: Path) -> Iterator[Path]:
    """A name of the directory in which Hydra finds nothing to put in; it reads its own settings again."""
    if "${" not in os.path.abspath(root):
        yield root
        return
    with tempfile.TemporaryDirectory(prefix="namexp-") as folder:
        alias = Path(folder, "run")
        alias.symlink_to(root.resolve(), target_is_directory=True)
        yield alias


def _check_run(root: Path, name: str) -> None:
    """What can be said without reading anything of the run."""
    if not root.is_dir():
        raise UserError(f"resume (= {name}): no such directory; give the directory of a run.")
    if SweepLayout(root).record.exists():
        raise UserError(NOT_A_RUN.format(name))
    if not RunLayout(root).config.exists():
        raise UserError(f"resume (= {name}): holds no config.yaml, so it is not a run that has begun.")

"""``python -m namexp.train [overrides]``: one experiment; ``-m`` for a sweep."""

from __future__ import annotations

import os
import shlex
import sys
import traceback
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from namexp.conf_dir import conf_dir
from namexp.door import FAILED, OK, guarded
from namexp.errors import UserError, one_line
from namexp.ranks.place import Place, launched_place
from namexp.runs.entry import is_held, record_failure
from namexp.runs.layout import RunLayout
from namexp.schema.composition import explain
from namexp.schema.experiment import parse_experiment, resolved_config
from namexp.schema.resuming import AUTO, continued_config, resume_argument, stored_config
from namexp.sweeps.directory import DONE, MISSING, RUNNING, Job, SweepLayout, is_search, job_table, read_jobs
from namexp.sweeps.record import NOT_A_RUN, InterruptedSweepError, SweepRecord, SweepRefused, runs_in_workers

_failure: BaseException | None = None


@hydra.main(version_base="1.3", config_path=conf_dir(), config_name="train")
def _job(cfg: DictConfig) -> None:
    """One training. In a sweep exceptions go on to Hydra; alone they wait for ``main``."""
    global _failure
    context = HydraConfig.get()
    run_dir = Path(context.runtime.output_dir)
    in_sweep = context.mode == RunMode.MULTIRUN
    sweep = Path(context.sweep.dir) if in_sweep else None
    if sweep is not None and SweepLayout(sweep).interrupted.exists():
        raise InterruptedSweepError
    try:
        _train(cfg, run_dir, list(context.overrides.task), sweep)
    except (Exception, KeyboardInterrupt) as error:
        record_failure(RunLayout(run_dir), error)
        with (run_dir / "train.log").open("a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
        if in_sweep and isinstance(error, KeyboardInterrupt) and runs_in_workers(context.launcher):
            raise InterruptedSweepError from None
        if in_sweep:
            raise
        _failure = error  # Hydra would print more than one line
    except SystemExit:  # told to stop
        if in_sweep:
            raise
        _failure = KeyboardInterrupt()


def _train(cfg: DictConfig, run_dir: Path, overrides: list[str], sweep: Path | None) -> None:
    if cfg.resume not in (None, AUTO):
        resolved = continued_config(stored_config(RunLayout(run_dir).config), cfg, overrides)
        config = parse_experiment(resolved)
    else:
        config = parse_experiment(cfg)  # before torch is imported
        resolved = resolved_config(cfg)
    from namexp.engine import experiment

    # A job that its scheduler has started again finds what it has done already
    requeued = sweep is not None and "SUBMITIT_EXECUTOR" in os.environ
    resume = AUTO if requeued else cfg.resume
    if sweep is not None and resume == AUTO and is_held(RunLayout(run_dir)):
        print(f"{_shown(run_dir)}: another process is at work here, which is left to it")
        return
    result = experiment.run(config, resolved, run_dir, resume=resume, sweep=sweep)
    print(_table(result.summary["submodels"]))
    print(f"model    {_shown(result.run.nam)}")
    if config.callbacks.plots:
        print(f"picture  {_shown(result.run.comparison)}")
    if config.callbacks.report and result.run.report.exists():
        print(f"report   {_shown(result.run.report)}")
    if result.interrupted:
        if sweep is None:
            print(f"go on   python -m namexp.train resume={shlex.quote(_shown(run_dir))}")
        raise KeyboardInterrupt


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _table(submodels: list[dict[str, Any]]) -> str:
    """The outcome, a line for each submodel."""
    rows = [("submodel", "channels", "parameters", "MACs/sample", "ESR", "MRSTFT")]
    for s in submodels:
        channels = s["channels"] if isinstance(s["channels"], list) else [s["channels"]]
        rows.append(
            (
                s["name"], "/".join(map(str, channels)), str(s["parameters"]),
                str(s["macs_per_sample"]), _figure(s["ESR"], 5), _figure(s["MRSTFT"], 4),
            )
        )  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n" + "\n".join(lines) + "\n"


def _figure(value: float | None, digits: int) -> str:
    """A summary that was read back has no figure where there was none that is finite."""
    return "-" if value is None else f"{value:.{digits}f}"


def _run_hydra() -> int:
    # Otherwise Hydra prints a traceback of its own and exits
    os.environ["HYDRA_FULL_ERROR"] = "1"
    _enter_resumed_run()
    try:
        _job()
    except SweepRefused as error:
        raise UserError(one_line(error)) from None
    except (KeyboardInterrupt, SystemExit) as error:
        if SweepRecord.started is None:
            raise
        _end_sweep(SweepRecord.started)
        raise KeyboardInterrupt from error
    except Exception as error:
        root = SweepRecord.started
        if root is None or not _unfinished(root):  # no job's failure, then
            raise _explained(error) from None
        _end_sweep(root)  # the jobs have said why, each in its own directory
        if SweepLayout(root).interrupted.exists():
            raise KeyboardInterrupt from None
        return FAILED
    if _failure is not None:
        raise _failure
    return OK if SweepRecord.started is None else _end_sweep(SweepRecord.started)


def _enter_resumed_run() -> None:
    """Let Hydra work in the directory of the run that is continued, and leave its notes alone."""
    root = resume_argument(sys.argv[1:])
    if root is None or root == AUTO:
        return
    if {"-m", "--multirun"} & {*sys.argv}:
        raise UserError(NOT_A_RUN.format(root))
    if any(argument.startswith("hydra.run.dir=") for argument in sys.argv):
        raise UserError(
            f"resume (= {root}) continues the run where it lies; leave hydra.run.dir out, or copy the run "
            "first."
        )
    _check_run(Path(root))
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


def _explained(error: Exception) -> Exception:
    if isinstance(error, HydraException | OmegaConfBaseException):
        return explain(error, sys.argv[1:], conf_dir())
    # Hydra's answer to model=null
    if isinstance(error, ValueError) and str(error).startswith("Config group override"):
        return UserError(f"a group cannot be null, choose one of its options: {one_line(error)}")
    return error


def _unfinished(root: Path) -> list[Job]:
    """The jobs that somebody must still do."""
    sweep = SweepLayout(root)
    # Other processes that work on the same search have jobs of their own
    others = (RUNNING, MISSING) if is_search(sweep) else (RUNNING,)
    return [job for job in read_jobs(sweep) if job.state != DONE and job.state not in others]


def _end_sweep(root: Path) -> int:
    """Say what has become of every job."""
    print(f"\n{job_table(read_jobs(SweepLayout(root)))}\nsweep    {_shown(root)}")
    if not _unfinished(root):
        return OK
    print(f"run the rest by: python -m namexp.sweep resume {shlex.quote(_shown(root))}", file=sys.stderr)
    return FAILED


def _launched(place: Place) -> int:
    """One of the processes that torchrun or srun has started: the first decides for all."""
    if place.rank > 0:
        from namexp.engine.follow import follow

        return follow(place)
    try:
        if {"-m", "--multirun"} & set(sys.argv):
            raise UserError(
                "-m (a sweep) cannot run inside torchrun or srun, which start processes for one training; "
                "start it without them: with trainer=ddp every job starts its own."
            )
        return _run_hydra()
    finally:
        from namexp.ranks.team import release_launched

        release_launched(place)


def _run() -> int:
    place = launched_place()
    return _run_hydra() if place is None else _launched(place)


def _flags_first() -> None:
    """Hydra takes -m only before the first override."""
    flags = [argument for argument in sys.argv[1:] if argument in ("-m", "--multirun")]
    rest = [argument for argument in sys.argv[1:] if argument not in ("-m", "--multirun")]
    sys.argv[1:] = [*flags[:1], *rest]


def main() -> int:
    """The command."""
    _flags_first()
    return guarded("namexp.train", _run)


if __name__ == "__main__":
    sys.exit(main())

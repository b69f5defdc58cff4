"""One execution of the config by Hydra: alone, or as a job of a sweep.

Nothing here imports torch before the config has been checked.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from namexp.door import resuming, say, shown
from namexp.process.signals import is_interruption, listening
from namexp.runs.entry import is_held, record_failure
from namexp.runs.layout import RunLayout
from namexp.runs.states import is_done
from namexp.runs.table import outcome_table
from namexp.schema.callbacks import CallbacksConfig
from namexp.schema.composition import explain_interpolation
from namexp.schema.experiment import ExperimentConfig, require_files, resolved_config
from namexp.schema.resuming import AUTO, continued_config, stored_config
from namexp.sweeps.directory import SweepLayout
from namexp.sweeps.record import InterruptedSweepError
from namexp.sweeps.workers import ending_with, is_over, runs_in_workers

if TYPE_CHECKING:
    from namexp.engine.experiment import RunResult
    from namexp.engine.task import Task


class Tasks(NamedTuple):
    """What can be learned, for those who must not know it.

    Attributes:
        config_of: the config class that a whole config is for.
        parse: checks a whole config.
        task_of: the task that a checked config is for.
    """

    config_of: Callable[[DictConfig | Mapping[str, Any]], type[ExperimentConfig]]
    parse: Callable[[DictConfig | Mapping[str, Any]], ExperimentConfig]
    task_of: Callable[[ExperimentConfig], Task[Any, Any]]


class Execution:
    """What Hydra calls. In a sweep exceptions go on to Hydra.

    Of a single run's it would print more than one line: that one waits in ``failure``.

    Attributes:
        continued: the directory of the run that is continued by ``resume=``, as it was named; else None.
    """

    def __init__(self, tasks: Tasks) -> None:
        self.tasks = tasks
        self.failure: BaseException | None = None
        self.continued: Path | None = None

    def __call__(self, cfg: DictConfig) -> None:
        """Train, and keep in the run directory why not. Ctrl-C and SIGTERM reach it in a worker too."""
        context = HydraConfig.get()
        sweep = Path(context.sweep.dir) if context.mode == RunMode.MULTIRUN else None
        parallel = sweep is not None and runs_in_workers(context.launcher)
        together: AbstractContextManager[None] = nullcontext()
        if sweep is not None and parallel:
            together = ending_with(SweepLayout(sweep))
        try:
            with listening(), together:
                self._execute(cfg, self.continued or Path(context.runtime.output_dir), sweep)
        except KeyboardInterrupt:
            if parallel:
                raise InterruptedSweepError from None
            raise

    def _execute(self, cfg: DictConfig, run_dir: Path, sweep: Path | None) -> None:
        if sweep is not None and is_over(SweepLayout(sweep)):
            raise InterruptedSweepError
        try:
            self._train(cfg, run_dir, sweep)
        except (Exception, KeyboardInterrupt) as error:
            record_failure(RunLayout(run_dir), error)
            with (run_dir / "train.log").open("a", encoding="utf-8") as log:
                traceback.print_exception(error, file=log)
            interrupted = is_interruption(error)
            if sweep is not None and interrupted:
                raise KeyboardInterrupt from None
            if sweep is not None:
                raise
            self.failure = KeyboardInterrupt() if interrupted else error
            if interrupted and _has_more_to_do(RunLayout(run_dir)):
                say(f"go on   python -m namexp.train {resuming(run_dir)}")
        except SystemExit:  # told to stop
            if sweep is not None:
                raise
            self.failure = KeyboardInterrupt()

    def _train(self, cfg: DictConfig, run_dir: Path, sweep: Path | None) -> None:
        config, resolved = self._checked(cfg, run_dir)
        from namexp.engine import experiment

        # A job that its scheduler has started again finds what it has done already
        requeued = sweep is not None and "SUBMITIT_EXECUTOR" in os.environ
        resume = AUTO if requeued else cfg.resume
        if sweep is not None and resume == AUTO and is_held(RunLayout(run_dir)):
            say(f"{shown(run_dir)}: another process is at work here, which is left to it")
            return
        task = self.tasks.task_of(config)
        result = experiment.run(task, config, resolved, run_dir, resume=resume, sweep=sweep)
        _say(result, task, config.callbacks)
        if result.interrupted:
            raise KeyboardInterrupt

    def _checked(self, cfg: DictConfig, run_dir: Path) -> tuple[ExperimentConfig, dict[str, Any]]:
        """The config as an object and as plain values.

        Raises:
            UserError: it is wrong, or says ``${`` where there is nothing to put in.
        """
        try:
            return self._parsed(cfg, run_dir)
        except OmegaConfBaseException as error:
            raise explain_interpolation(error) from None

    def _parsed(self, cfg: DictConfig, run_dir: Path) -> tuple[ExperimentConfig, dict[str, Any]]:
        if cfg.resume in (None, AUTO):
            cls = self.tasks.config_of(cfg)
            config, resolved = self.tasks.parse(cfg), resolved_config(cfg, cls)
            if not RunLayout(run_dir).config.exists():  # what is done needs none of them any more
                require_files(resolved, cls)
            return config, resolved
        stored = stored_config(RunLayout(run_dir).config)
        said: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        resolved = continued_config(stored, cfg, said, self.tasks.config_of(stored))
        return self.tasks.parse(resolved), resolved


def _has_more_to_do(run: RunLayout) -> bool:
    return run.config.exists() and not is_done(run)


def _say(result: RunResult, task: Task[Any, Any], callbacks: CallbacksConfig) -> None:
    """What came out, and where it lies."""
    say(outcome_table(result.summary))
    run = result.run
    files = {
        "model": run.matching(task.products)[:1],
        "picture": [run.comparison] if callbacks.plots else [],
        "report": [run.report] if callbacks.report else [],
    }
    for name, paths in files.items():
        for path in filter(Path.exists, paths):
            say(f"{name.ljust(8)} {shown(path)}")

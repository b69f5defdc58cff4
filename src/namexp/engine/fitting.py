"""Training a network: Lightning's trainer with a task's steps and data, and what stands beside both."""

from __future__ import annotations

import logging
import math
import signal
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger

from namexp.atomic import write_atomically
from namexp.engine.callbacks.checkpoints import Checkpoints, StepCheckpoints
from namexp.engine.callbacks.counting import Counting
from namexp.engine.callbacks.going_back import GoBack
from namexp.engine.callbacks.interruption import StopWhenAsked
from namexp.engine.callbacks.progress import TrainingProgress
from namexp.engine.callbacks.stopping import Goal, StopAfterSteps, StopEarly
from namexp.engine.callbacks.time_budget import TimeBudget
from namexp.engine.module import TaskModule
from namexp.engine.processes import backend_of, ddp_arguments
from namexp.engine.settings import torch_settings
from namexp.engine.task import Task, TaskData
from namexp.engine.training import Fitted, Training
from namexp.errors import UserError
from namexp.process.signals import is_interruption
from namexp.ranks.pipe import Pipe
from namexp.ranks.place import ALONE, Place
from namexp.ranks.team import Team, assembled, taken_over
from namexp.reading.damage import KINDS, damaged
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.trainer import TrainerConfig
from namexp.tracking.csv_logger import MetricsCsvLogger
from namexp.tracking.tracker import TrackerLogger, Untracked

log = logging.getLogger(__name__)

PRECISIONS: dict[str, Any] = {
    "32": "32-true",
    "64": "64-true",
    "16-mixed": "16-mixed",
    "bf16-mixed": "bf16-mixed",
}


def fit(task: Task[Any, Any], training: Training[Any, Any]) -> Fitted:
    """Train; the bests are in the run directory, the last weights in the network.

    Raises:
        UserError: several processes cannot share a batch, or one of them was ended from outside.
    """
    settings = training.config.trainer
    data = task.data(
        training, replace(ALONE, world_size=settings.world_size)
    )  # refuses before anything is started
    _check_schedule(training.config, _batches_per_epoch(settings, data))
    with assembled(settings.devices, settings.num_nodes, backend_of(settings)) as team:
        # what listens to the training stays with the first process
        team.hand_over((task, replace(training, tracker=Untracked()), torch.get_num_threads()))
        return _take_part(task, training, team)


def _check_schedule(config: ExperimentConfig, batches_per_epoch: int) -> None:
    """OneCycleLR has an end, and torch raises there in the midst of a training."""
    total = config.scheduler.options.get("total_steps")
    if config.scheduler.name != "OneCycleLR" or total is None:
        return
    minutes = config.trainer.max_minutes
    if minutes is not None:
        raise UserError(
            f"trainer.max_minutes (= {minutes:g}): how many steps that is shows only on the way, and "
            "OneCycleLR must know before; use scheduler=warmup_cosine."
        )
    per_epoch = batches_per_epoch if config.scheduler.interval == "step" else 1
    needed = config.trainer.max_epochs * per_epoch
    if total < needed:
        raise UserError(
            f"scheduler.options.total_steps (= {total}) must be at least {needed}: "
            f"trainer.max_epochs (= {config.trainer.max_epochs}) x {per_epoch} steps per epoch."
        )


def take_part(place: Place, scratch: Path, pipe: Pipe | None) -> bool:
    """Train with the first process, which is in ``fit`` and tells what.

    Args:
        place: of this process, which has joined the group.
        scratch: takes what only the first process keeps.
        pipe: from the first process; None where it has not started this one.

    Returns:
        Whether it was interrupted.
    """
    told: tuple[Task[Any, Any], Training[Any, Any], int] = taken_over(pipe)
    task, training, threads = told
    settings = replace(training.config.trainer, threads=threads)
    pl.seed_everything(training.config.seed, verbose=False)
    with torch_settings(settings):
        return _take_part(task, replace(training, layout=RunLayout(scratch)), Team(place)).interrupted


def _take_part(task: Task[Any, Any], training: Training[Any, Any], team: Team) -> Fitted:
    module, data = task.module(training), task.data(training, team.place)
    module.description, module.row_suffixes = training.description, tuple(r.suffix for r in training.rows)
    module.last_checkpoint = training.layout.last_checkpoint
    module.total_steps = _total_steps(training.config.trainer, data)
    metrics = MetricsCsvLogger(
        training.layout.metrics,
        steps=training.config.logger.kind != "none",
        keep_rows=training.progress.metric_rows if training.progress else 0,
    )
    checkpoints = Checkpoints(training.layout, lambda: metrics.num_rows)
    callbacks = [Counting(), *task.callbacks(training), *_callbacks(training), checkpoints]
    loggers = [metrics, *_loggers(training)] if team.place.rank == 0 else []
    trainer = _build_trainer(training, module, data, team.place, loggers, callbacks)
    if training.progress is None:
        training.layout.discard_training([*task.leaves, *task.products])  # of an epoch that was cut off
    try:
        interrupted = _run(trainer, module, data, training, team)
    except KINDS as error:
        if training.checkpoint is None or checkpoints.begun or isinstance(error, UserError):
            raise
        raise damaged(training.checkpoint, error) from error
    return Fitted(
        checkpoints.finished_epochs,
        checkpoints.seconds,
        checkpoints.cpu_seconds,
        module.updates,
        interrupted=interrupted,
    )


def _run(
    trainer: pl.Trainer, module: TaskModule, data: TaskData, training: Training[Any, Any], team: Team
) -> bool:
    """Call Lightning; whether Ctrl-C ended it.

    Raises:
        KeyboardInterrupt: Ctrl-C before anything was learned.
    """
    last, answer = training.layout.last_checkpoint, signal.getsignal(signal.SIGINT)
    _leave_sigterm_alone(trainer)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning 2.6 on torch 2.13
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*training_step.*returned.*None")  # a batch left out
            warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # ours are the same everywhere
            trainer.fit(module, datamodule=data, ckpt_path=training.checkpoint, weights_only=True)
    except (SystemExit, Exception) as error:
        if not is_interruption(error):
            raise  # a scheduler wants the machine back: no time to export, the last epoch is saved
        # Lightning makes this of Ctrl-C, and ignores the next ones
        signal.signal(signal.SIGINT, answer)
        team.disband()  # a checkpoint would wait for the others
        if module.updates == 0:
            raise KeyboardInterrupt from None
        if not last.exists():  # before the end of the first epoch
            write_atomically(last, lambda path: trainer.save_checkpoint(path))
        log.info("interrupted: exporting the best weights so far")
        return True
    return False


def _leave_sigterm_alone(trainer: pl.Trainer) -> None:
    """Whoever listens to it goes on to do so.

    Lightning would stop only between two batches, with an exchange in the midst of what the others do; and a
    scheduler may send it ahead of the signal by which a job is told to requeue itself. There is no setting:
    a callback could take its handler away only after checkpoints have been read, so it is not let in at all.
    """
    connector = trainer._signal_connector
    register = connector.register_signal_handlers

    def registered() -> None:
        listener = signal.getsignal(signal.SIGTERM)
        register()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, listener)

    connector.register_signal_handlers = registered  # type: ignore[method-assign]  # no other way, see above


def _build_trainer(
    training: Training[Any, Any],
    module: TaskModule,
    data: TaskData,
    place: Place,
    loggers: list[Logger],
    callbacks: list[pl.Callback],
) -> pl.Trainer:
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)  # tips and advertisements
    settings = training.config.trainer
    on_gpu = settings.accelerator == "gpu"
    with warnings.catch_warnings():
        # on a cluster's login node: how processes are started is not Lightning's to know
        warnings.filterwarnings("ignore", message=".*`srun` command is available.*")
        return pl.Trainer(
            accelerator=settings.accelerator,
            **ddp_arguments(place, settings, module),
            precision=PRECISIONS[settings.precision],
            max_epochs=settings.max_epochs if settings.max_minutes is None else -1,  # it says when
            limit_train_batches=settings.limit_train_batches,
            check_val_every_n_epoch=settings.check_val_every_n_epoch,
            log_every_n_steps=min(settings.log_every_n_steps, _batches_per_epoch(settings, data)),
            # on a GPU the STFT's padding has no deterministic gradient: a warning, not an error
            deterministic="warn" if settings.deterministic and on_gpu else settings.deterministic,
            logger=loggers,
            callbacks=callbacks,
            default_root_dir=training.layout.root,
            enable_progress_bar=training.config.callbacks.progress,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )


def _batches_per_epoch(settings: TrainerConfig, data: TaskData) -> int:
    return min(data.num_batches, settings.limit_train_batches or data.num_batches)


def _total_steps(settings: TrainerConfig, data: TaskData) -> float:
    if settings.max_minutes is not None:
        return math.inf
    whole = settings.max_epochs * _batches_per_epoch(settings, data)
    return min(whole, settings.max_steps or whole)


def _callbacks(training: Training[Any, Any]) -> list[pl.Callback]:
    """Those of every training."""
    config = training.config
    goal = Goal.of(config.callbacks, config.headline)
    above = config.optimizer.options.get("go_back_above")
    callbacks: list[pl.Callback] = [
        *([] if above is None else [GoBack(above)]),
        StopEarly(
            config.headline, goal=goal, patience=config.callbacks.patience, goes_back=above is not None
        ),
        StopWhenAsked(),
    ]
    if config.trainer.max_minutes is not None:
        callbacks.append(TimeBudget(config.trainer.max_minutes))
    if config.trainer.max_steps is not None:
        callbacks.append(StopAfterSteps(config.trainer.max_steps))
    every = config.callbacks.checkpoint_every_n_steps
    if every is not None:
        keep = config.callbacks.keep_checkpoints
        callbacks.append(StepCheckpoints(training.layout, every=every, keep=keep))
    if config.callbacks.progress:
        callbacks.append(TrainingProgress(config.headline))
    return callbacks


def _loggers(training: Training[Any, Any]) -> list[Logger]:
    """Those beside metrics.csv."""
    return [TrackerLogger(training.tracker)] if training.tracker.active else []

"""Training a network: Lightning's trainer with our task, data, callbacks and loggers."""

from __future__ import annotations

import logging
import os
import signal
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger

from namexp.atomic import write_atomically
from namexp.engine.callbacks.checkpoints import Checkpoints
from namexp.engine.callbacks.progress import TrainingProgress
from namexp.engine.callbacks.stopping import SilenceCheck, StopAfterSteps, StopEarly
from namexp.engine.checkpoint import Progress
from namexp.engine.processes import TermIsInterrupt, TermIsLeftTo, backend_of, check_processes, ddp_arguments
from namexp.errors import UserError
from namexp.models.network import Network
from namexp.ranks.place import Place
from namexp.ranks.shared import agreed
from namexp.ranks.team import Team, assembled
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.trainer import TrainerConfig
from namexp.tasks.capture.data.excerpt import choose_excerpt
from namexp.tasks.capture.data.module import CaptureDataModule
from namexp.tasks.capture.data.recordings import Recordings
from namexp.tasks.capture.module import CaptureTask
from namexp.tasks.capture.showing.preview import AudioPreview
from namexp.tasks.capture.weights.best import BestSubmodels
from namexp.tracking.csv_logger import MetricsCsvLogger
from namexp.tracking.tracker import Tracker, TrackerLogger, Untracked

log = logging.getLogger(__name__)

PRECISIONS: dict[str, Any] = {
    "32": "32-true",
    "64": "64-true",
    "16-mixed": "16-mixed",
    "bf16-mixed": "bf16-mixed",
}


@dataclass(frozen=True)
class Training:
    """What one training is made of.

    Attributes:
        config: checked.
        resolved: the same as plain values.
        recordings: what is trained and validated on.
        network: what learns.
        layout: where everything goes.
        description: plain values from which a checkpoint rebuilds the network.
        training_id: equal for two trainings that give the same weights.
        progress: how far it has come already; None: it begins.
        checkpoint: where that is kept, also for processes that write elsewhere.
        tracker: what it is told to, besides metrics.csv.
    """

    config: ExperimentConfig
    resolved: Mapping[str, Any]
    recordings: Recordings
    network: Network
    layout: RunLayout
    description: dict[str, Any]
    training_id: str
    progress: Progress | None = None
    checkpoint: Path | None = None
    tracker: Tracker = field(default_factory=Untracked)


@dataclass(frozen=True)
class Fitted:
    """How a training went.

    Attributes:
        epochs: that were finished.
        seconds: of training.
        interrupted: whether Ctrl-C ended it.
        reused_from: the run that it was taken from, relative to this one; None: it was done here.
    """

    epochs: int
    seconds: float
    interrupted: bool = False
    reused_from: str | None = None


def check_hardware(trainer: TrainerConfig) -> None:
    """The devices and processes that were asked for must be there.

    Raises:
        UserError: they are not.
    """
    found = torch.cuda.is_available() or torch.backends.mps.is_available()
    if trainer.accelerator == "gpu" and not found:
        raise UserError(
            "trainer.accelerator (= gpu): torch finds no GPU on this machine; use trainer=cpu, or "
            "install a build of torch for your GPU."
        )
    check_processes(trainer)


@contextmanager
def torch_settings(trainer: TrainerConfig) -> Iterator[None]:
    """What a training sets for the whole process, put back for the next job of a sweep."""
    threads, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    tf32 = torch.backends.cudnn.allow_tf32
    deterministic = torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic  # a module with a property
    filled = memory.fill_uninitialized_memory
    if trainer.threads is not None:
        torch.set_num_threads(trainer.threads)
    elif trainer.devices > 1:  # the processes share the cores
        torch.set_num_threads(max(1, threads // trainer.devices))
    if trainer.world_size > 1:  # or Lightning chooses, and it never goes back
        os.environ["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    # precision "32" means it: cuDNN would otherwise round convolutions to 10 bits
    torch.backends.cudnn.allow_tf32 = False
    # nothing reads memory that it did not write (the tests have NaN there), and filling it takes time
    memory.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        if variable is None:
            os.environ.pop("OMP_NUM_THREADS", None)
        else:
            os.environ["OMP_NUM_THREADS"] = variable
        torch.backends.cudnn.allow_tf32 = tf32
        torch.use_deterministic_algorithms(deterministic)
        memory.fill_uninitialized_memory = filled


def fit(training: Training) -> Fitted:
    """Train; the bests are in the run directory, the last weights in the network.

    Raises:
        UserError: several processes cannot share a batch, or one of them was ended from outside.
    """
    settings = training.config.trainer
    data = _data(training, 0, settings.world_size)  # refuses before anything is started
    _check_schedule(training.config, _batches_per_epoch(settings, data))
    with assembled(settings.devices, settings.num_nodes, backend_of(settings)) as team:
        # what listens to the training stays with the first process
        agreed(lambda: (replace(training, tracker=Untracked()), torch.get_num_threads()))
        return _take_part(training, team)


def _check_schedule(config: ExperimentConfig, batches_per_epoch: int) -> None:
    """OneCycleLR has an end, and torch raises there in the midst of a training."""
    total = config.scheduler.options.get("total_steps")
    if config.scheduler.name != "OneCycleLR" or total is None:
        return
    per_epoch = batches_per_epoch if config.scheduler.interval == "step" else 1
    needed = config.trainer.max_epochs * per_epoch
    if total < needed:
        raise UserError(
            f"scheduler.options.total_steps (= {total}) must be at least {needed}: "
            f"trainer.max_epochs (= {config.trainer.max_epochs}) x {per_epoch} steps per epoch."
        )


def take_part(place: Place, scratch: Path) -> bool:
    """Train with the first process, which is in ``fit`` and tells what.

    Args:
        place: of this process, which has joined the group.
        scratch: takes what only the first process keeps.

    Returns:
        Whether it was interrupted.
    """
    training, threads = agreed(_told_by_the_first)
    settings = replace(training.config.trainer, threads=threads)
    pl.seed_everything(training.config.seed, verbose=False)
    with torch_settings(settings):
        return _take_part(replace(training, layout=RunLayout(scratch)), Team(place)).interrupted


def _told_by_the_first() -> tuple[Training, int]:
    raise AssertionError("the first process is in fit")


def _take_part(training: Training, team: Team) -> Fitted:
    config = training.config
    task = CaptureTask(
        training.network,
        loss=config.loss,
        optimizer=config.optimizer,
        scheduler=config.scheduler,
        gradient_clip_norm=config.trainer.gradient_clip_norm,
        scaled_gradients=config.trainer.precision == "16-mixed",
        graphed=config.trainer.graphs,
        description=training.description,
    )
    data = _data(training, team.place.rank, team.place.world_size)
    metrics = MetricsCsvLogger(
        training.layout.metrics,
        steps=config.logger.kind != "none",
        keep_rows=training.progress.metric_rows if training.progress else 0,
    )
    checkpoints = Checkpoints(training.layout, lambda: metrics.num_rows)
    loggers = [metrics, *_loggers(training)] if team.place.rank == 0 else []
    trainer = _build_trainer(training, data, team.place, loggers, checkpoints)
    interrupted = _run(trainer, task, data, training, team)
    return Fitted(checkpoints.finished_epochs, checkpoints.seconds, interrupted=interrupted)


def _data(training: Training, rank: int, world_size: int) -> CaptureDataModule:
    config = training.config
    return CaptureDataModule(
        training.recordings,
        receptive_field=config.plan.receptive_field,
        ny=config.data.ny,
        batch_size=config.data.batch_size,
        seed=config.seed,
        rank=rank,
        world_size=world_size,
    )


def _run(
    trainer: pl.Trainer, task: CaptureTask, data: CaptureDataModule, training: Training, team: Team
) -> bool:
    """Call Lightning; whether Ctrl-C ended it."""
    last = training.layout.last_checkpoint
    if training.progress is None:
        training.layout.discard_training()  # of an epoch that was cut off
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning 2.6 on torch 2.13
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # ours are the same everywhere
            trainer.fit(task, datamodule=data, ckpt_path=training.checkpoint, weights_only=True)
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise  # a scheduler wants the machine back: no time to export, the last epoch is saved
        # Lightning makes this of Ctrl-C, and ignores the next ones
        signal.signal(signal.SIGINT, signal.default_int_handler)
        team.disband()  # a checkpoint would wait for the others
        if not last.exists():  # before the end of the first epoch
            write_atomically(last, lambda path: trainer.save_checkpoint(path))
        log.info("interrupted: exporting the best weights so far")
        return True
    return False


def _build_trainer(
    training: Training,
    data: CaptureDataModule,
    place: Place,
    loggers: list[Logger],
    checkpoints: Checkpoints,
) -> pl.Trainer:
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)  # tips and advertisements
    settings = training.config.trainer
    on_gpu = settings.accelerator == "gpu"
    return pl.Trainer(
        accelerator=settings.accelerator,
        **ddp_arguments(place, settings, training.network),
        precision=PRECISIONS[settings.precision],
        max_epochs=settings.max_epochs,
        limit_train_batches=settings.limit_train_batches,
        check_val_every_n_epoch=settings.check_val_every_n_epoch,
        log_every_n_steps=min(settings.log_every_n_steps, _batches_per_epoch(settings, data)),
        # on a GPU the STFT's padding has no deterministic gradient: a warning, not an error
        deterministic="warn" if settings.deterministic and on_gpu else settings.deterministic,
        logger=loggers,
        callbacks=[*_callbacks(training), checkpoints],
        default_root_dir=training.layout.root,
        enable_progress_bar=training.config.callbacks.progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _batches_per_epoch(settings: TrainerConfig, data: CaptureDataModule) -> int:
    return min(len(data.order), settings.limit_train_batches or len(data.order))


def _callbacks(training: Training) -> list[pl.Callback]:
    layout, network = training.layout, training.network
    callbacks: list[pl.Callback] = [SilenceCheck()]
    if network.members:
        members = network.members

        def content(i: int) -> dict[str, Any]:
            about = {**training.description, "submodel_index": i}
            return {"namexp": about, "state_dict": members[i].state_dict()}

        callbacks.insert(0, BestSubmodels(layout, network.row_names, content))
    callbacks += _preview(training)
    settings = training.config.callbacks
    callbacks.append(StopEarly(stop_at_esr=settings.stop_at_esr, patience=settings.patience))
    max_steps = training.config.trainer.max_steps
    if max_steps is not None:
        callbacks.append(StopAfterSteps(max_steps))
    if "SUBMITIT_EXECUTOR" in os.environ:
        callbacks.append(TermIsLeftTo())
    elif training.config.trainer.world_size > 1:
        callbacks.append(TermIsInterrupt())
    if settings.progress:
        callbacks.append(TrainingProgress(max_steps))
    return callbacks


def _preview(training: Training) -> list[pl.Callback]:
    every = training.config.logger.audio_every_n_validations
    if not training.tracker.active or every is None:
        return []
    excerpt = choose_excerpt(
        training.recordings,
        receptive_field=training.config.plan.receptive_field,
        seconds=training.config.logger.audio_seconds,
    )
    return [AudioPreview(training.tracker, excerpt, every_n_validations=every)]


def _loggers(training: Training) -> list[Logger]:
    """Those beside metrics.csv."""
    return [TrackerLogger(training.tracker)] if training.tracker.active else []

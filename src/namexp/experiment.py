"""One training from config to verified file: the only place that puts the rooms together."""

from __future__ import annotations

import logging
import signal
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from pytorch_lightning.loggers import Logger
from torch import Tensor

from namexp.atomic import write_atomically
from namexp.callbacks.best_submodel import BestSubmodels
from namexp.callbacks.checkpoints import Checkpoints
from namexp.callbacks.interruption import finishing
from namexp.callbacks.progress import TrainingProgress
from namexp.callbacks.stopping import SilenceCheck, StopEarly
from namexp.comparison.picture import draw_comparison
from namexp.data.module import CaptureDataModule
from namexp.data.recordings import Recordings, load_recordings
from namexp.errors import UserError
from namexp.exporting import (
    assemble,
    load_best,
    save_verified,
    training_metadata,
)
from namexp.losses.spectral import Mrstft
from namexp.models.build import build_network
from namexp.models.network import Network
from namexp.models.wavenet import PackedWaveNet, SlimmableWaveNet
from namexp.runs.entry import entered
from namexp.runs.files import write_json, write_text
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import ExperimentConfig
from namexp.schema.playability import notices
from namexp.schema.training import TrainerConfig
from namexp.scoring import score, summarise
from namexp.tasks.optimisation import check_optimisation
from namexp.tracking.csv_logger import MetricsCsvLogger

log = logging.getLogger(__name__)

PRECISIONS: dict[str, Any] = {
    "32": "32-true",
    "64": "64-true",
    "16-mixed": "16-mixed",
    "bf16-mixed": "bf16-mixed",
}


@dataclass(frozen=True)
class RunResult:
    """What a training leaves: its directory, its summary, and whether it was interrupted."""

    run: RunLayout
    summary: dict[str, Any]
    interrupted: bool


def run(config: ExperimentConfig, resolved: Mapping[str, Any], run_dir: Path) -> RunResult:
    """Train, score and export.

    Args:
        config: checked.
        resolved: the same as plain values; kept as config.yaml.
        run_dir: created if need be.

    Returns:
        What came out; after Ctrl-C what could be exported, with ``interrupted`` set.

    Raises:
        UserError: anything that can be known before training, and a run directory in use.
        KeyboardInterrupt: Ctrl-C outside the training itself.
    """
    check_hardware(config.trainer)
    check_optimisation(config.optimizer, config.scheduler)
    layout = RunLayout(run_dir)
    result: RunResult | None = None
    try:
        with entered(layout), _torch_settings(config.trainer):
            result = _train_and_export(config, resolved, layout)
            if result.interrupted:
                raise KeyboardInterrupt  # so that the status says it
    except KeyboardInterrupt:
        if result is None:
            raise
    return result


@contextmanager
def _torch_settings(trainer: TrainerConfig) -> Iterator[None]:
    """What a training sets for the whole process, put back for the next job of a sweep."""
    threads = torch.get_num_threads()
    tf32 = torch.backends.cudnn.allow_tf32
    deterministic = torch.are_deterministic_algorithms_enabled()
    if trainer.threads is not None:
        torch.set_num_threads(trainer.threads)
    # precision "32" means it: cuDNN would otherwise round convolutions to 10 bits
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.backends.cudnn.allow_tf32 = tf32
        torch.use_deterministic_algorithms(deterministic)


def check_hardware(trainer: TrainerConfig) -> None:
    """A GPU that was asked for must be there.

    Raises:
        UserError: it is not.
    """
    found = torch.cuda.is_available() or torch.backends.mps.is_available()
    if trainer.accelerator == "gpu" and not found:
        raise UserError(
            "trainer.accelerator (= gpu): torch finds no GPU on this machine; use trainer=cpu, or "
            "install a build of torch for your GPU."
        )


def _train_and_export(config: ExperimentConfig, resolved: Mapping[str, Any], layout: RunLayout) -> RunResult:
    plan = config.plan
    recordings = load_recordings(config.data, receptive_field=plan.receptive_field)
    _check_scorable(config, recordings)
    if recordings.embedded:
        log.info("no data.input is given: training on the embedded recording (a synthesised guitar and amp)")
    write_text(layout.config, OmegaConf.to_yaml(OmegaConf.create(dict(resolved))))
    pl.seed_everything(config.seed, verbose=False)
    network = build_network(plan, seed=config.seed)
    description = _description(config, resolved, recordings)
    _announce(config, recordings, layout)

    started = time.monotonic()
    trainer, interrupted = _fit(config, resolved, network, recordings, layout, description)
    seconds = time.monotonic() - started
    with finishing("the export") as interruption:
        summary = _finish(config, resolved, network, recordings, layout, description, seconds, trainer)
    return RunResult(layout, summary, interrupted or interruption.requested)


def _finish(
    config: ExperimentConfig,
    resolved: Mapping[str, Any],
    network: Network,
    recordings: Recordings,
    layout: RunLayout,
    description: dict[str, Any],
    seconds: float,
    trainer: pl.Trainer,
) -> dict[str, Any]:
    """Score the best weights, export them and draw; the summary."""
    plan = config.plan
    network.cpu().float().eval()
    best = load_best(layout, plan, network, description)
    predictions, scores = score(network, recordings)
    summary = summarise(
        config, resolved, recordings, network, best, scores,
        seconds=seconds, epochs=trainer.current_epoch,
    )  # fmt: skip
    write_json(layout.summary, summary)
    _export(config, network, recordings, summary, layout)
    if config.callbacks.plots:
        _draw(layout, recordings, predictions, summary, plan.receptive_field)
    return summary


def _check_scorable(config: ExperimentConfig, recordings: Recordings) -> None:
    """The metric that selects the best checkpoint must exist on the validation part."""
    context = config.plan.receptive_field - 1
    shortest = min(part.target.size for part in recordings.validation) - context
    if config.loss.val_loss == "mrstft" and shortest < Mrstft.MIN_SAMPLES:
        raise UserError(
            f"loss.val_loss (= mrstft) needs {Mrstft.MIN_SAMPLES} scored samples and the validation part "
            f"has {shortest}; raise data.validation_seconds or use loss.val_loss=esr."
        )


def _description(
    config: ExperimentConfig, resolved: Mapping[str, Any], recordings: Recordings
) -> dict[str, Any]:
    """What a checkpoint needs to be played by itself: plain values only."""
    return {
        "format": 1,
        "model": resolved["model"],
        "seed": config.seed,
        "sample_rate": recordings.sample_rate,
        "target_scale": recordings.target_scale,
    }


def _announce(config: ExperimentConfig, recordings: Recordings, layout: RunLayout) -> None:
    rate = recordings.sample_rate
    train = sum(part.target.size for part in recordings.train) / rate
    validation = sum(part.target.size for part in recordings.validation) / rate
    names = ", ".join(s.name for s in config.plan.submodels)
    log.info(
        "%s (%s): receptive field %d samples (%.1f ms)",
        config.plan.kind, names, config.plan.receptive_field,
        1000.0 * config.plan.receptive_field / rate,
    )  # fmt: skip
    log.info("%.1f s to train on, %.1f s to validate, %d Hz", train, validation, rate)
    log.info("run directory: %s", layout.root)
    for notice in notices(config.plan.spec):
        log.warning("notice: %s", notice)


# --- training -----------------------------------------------------------------------------------


def _fit(
    config: ExperimentConfig,
    resolved: Mapping[str, Any],
    network: Network,
    recordings: Recordings,
    layout: RunLayout,
    description: dict[str, Any],
) -> tuple[pl.Trainer, bool]:
    """Train ``network``; (trainer, whether Ctrl-C ended it)."""
    from namexp.tasks.capture import CaptureTask

    task = CaptureTask(
        network,
        loss=config.loss,
        optimizer=config.optimizer,
        scheduler=config.scheduler,
        gradient_clip_norm=config.trainer.gradient_clip_norm,
        scheduler_frequency=_scheduler_frequency(config),
        description=description,
    )
    data = CaptureDataModule(
        recordings,
        receptive_field=config.plan.receptive_field,
        ny=config.data.ny,
        batch_size=config.data.batch_size,
        seed=config.seed,
    )
    trainer = _build_trainer(config, resolved, network, layout, description, data)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning 2.6 on torch 2.13
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            trainer.fit(task, datamodule=data)
    except SystemExit:
        # Lightning makes this of Ctrl-C, and ignores the next ones
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if not layout.last_checkpoint.exists():  # before the end of the first epoch
            write_atomically(layout.last_checkpoint, lambda path: trainer.save_checkpoint(path))
        log.info("interrupted: exporting the best weights so far")
        return trainer, True
    finally:
        if config.logger.kind == "wandb":
            from namexp.tracking.wandb_logger import finish_wandb

            finish_wandb()
    return trainer, False


def _build_trainer(
    config: ExperimentConfig,
    resolved: Mapping[str, Any],
    network: Network,
    layout: RunLayout,
    description: dict[str, Any],
    data: CaptureDataModule,
) -> pl.Trainer:
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.ERROR)  # tips and advertisements
    on_gpu = config.trainer.accelerator == "gpu"
    return pl.Trainer(
        accelerator=config.trainer.accelerator,
        devices=1,
        precision=PRECISIONS[config.trainer.precision],
        max_epochs=config.trainer.max_epochs,
        max_steps=config.trainer.max_steps or -1,
        limit_train_batches=config.trainer.limit_train_batches,
        check_val_every_n_epoch=config.trainer.check_val_every_n_epoch,
        log_every_n_steps=min(config.trainer.log_every_n_steps, _batches_per_epoch(config, data)),
        # on a GPU the STFT's padding has no deterministic gradient: a warning, not an error
        deterministic="warn" if config.trainer.deterministic and on_gpu else config.trainer.deterministic,
        logger=_loggers(config, resolved, layout),
        callbacks=_callbacks(config, network, layout, description),
        default_root_dir=layout.root,
        enable_checkpointing=False,  # our own, renamed into place
        enable_progress_bar=config.callbacks.progress,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
    )


def _batches_per_epoch(config: ExperimentConfig, data: CaptureDataModule) -> int:
    return min(len(data.order), config.trainer.limit_train_batches or len(data.order))


def _scheduler_frequency(config: ExperimentConfig) -> int:
    # a plateau is seen only where there was a validation
    plateau = config.scheduler.name == "ReduceLROnPlateau"
    return config.trainer.check_val_every_n_epoch if plateau else 1


def _callbacks(
    config: ExperimentConfig, network: Network, layout: RunLayout, description: dict[str, Any]
) -> list[pl.Callback]:
    callbacks: list[pl.Callback] = [Checkpoints(layout), SilenceCheck()]
    if isinstance(network, PackedWaveNet):
        wavenets = network.wavenets()

        def content(i: int) -> dict[str, Any]:
            about = {**description, "submodel_index": i}
            return {"namexp": about, "state_dict": wavenets[i].state_dict()}

        callbacks.insert(0, BestSubmodels(layout, network.names, content))
    settings = config.callbacks
    callbacks.append(StopEarly(stop_at_esr=settings.stop_at_esr, patience=settings.patience))
    if settings.progress:
        callbacks.append(TrainingProgress())
    return callbacks


def _loggers(config: ExperimentConfig, resolved: Mapping[str, Any], layout: RunLayout) -> list[Logger]:
    loggers: list[Logger] = [MetricsCsvLogger(layout.metrics, steps=config.logger.kind != "none")]
    if config.logger.kind == "wandb":
        from namexp.tracking.wandb_logger import build_wandb_logger

        loggers.append(
            build_wandb_logger(
                config.logger,
                run_dir=layout.root,
                resolved=dict(resolved),
                tags=[config.plan.kind],
            )
        )
    return loggers


# --- scoring and export ---------------------------------------------------------------------------


def _export(
    config: ExperimentConfig,
    network: Network,
    recordings: Recordings,
    summary: dict[str, Any],
    layout: RunLayout,
) -> None:
    assert isinstance(network, Network)
    training = training_metadata(summary)
    if isinstance(network, SlimmableWaveNet):
        training = training[-1:]  # the file has one model, of full width
    model = assemble(
        network,
        config.plan,
        sample_rate=recordings.sample_rate,
        target_scale=recordings.target_scale,
        container_max_values=config.export.container_max_values,
        user=config.export.metadata,
        training=training,
    )
    save_verified(model, network, recordings.target_scale, layout.nam)


def _draw(
    layout: RunLayout,
    recordings: Recordings,
    predictions: list[Tensor],
    summary: dict[str, Any],
    receptive_field: int,
) -> None:
    scale = recordings.target_scale  # drawn at the level of the recording
    draw_comparison(
        layout.comparison,
        target=recordings.validation[0].target[receptive_field - 1 :] / scale,
        predictions=(predictions[0] / scale).numpy(),
        sample_rate=recordings.sample_rate,
        submodels=summary["submodels"],
        metrics=layout.metrics,
    )

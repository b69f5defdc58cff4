"""Weights & Biases: one run per training, offline unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.loggers import Logger, WandbLogger

from namexp.errors import UserError, one_line
from namexp.schema.training import LoggerConfig

INIT_TIMEOUT_SECONDS = 20


def build_wandb_logger(
    config: LoggerConfig, *, run_dir: Path, resolved: dict[str, Any], tags: Iterable[str]
) -> Logger:
    """Start a run without ever prompting.

    Args:
        config: the logger group.
        run_dir: W&B's files go below it.
        resolved: the resolved config, kept with the run.
        tags: in addition to those of the config.

    Raises:
        UserError: online without an account, or the server does not answer.
    """
    finish_wandb()  # one that a failed job left open would be continued instead
    settings = wandb.Settings(
        console="off", silent=True, init_timeout=INIT_TIMEOUT_SECONDS, x_disable_meta=True
    )
    logger = WandbLogger(
        project=config.project,
        name=config.name or run_dir.name,
        group=config.group,
        tags=[*tags, *(config.tags or [])],
        save_dir=run_dir,
        mode=config.mode,
        job_type="train",
        config=resolved,
        settings=settings,
    )
    try:
        run = logger.experiment  # starts it: better now than in the middle of a training
    except (wandb.errors.Error, OSError) as error:
        raise UserError(
            f"logger.mode (= {config.mode}): W&B does not start: {one_line(error)}; log in, or use "
            "logger.mode=offline."
        ) from None
    run.define_metric("*", step_metric="trainer/global_step")
    return logger


def finish_wandb() -> None:
    """Close the run, so that the next training of this process gets one of its own."""
    if wandb.run is not None:
        wandb.finish()

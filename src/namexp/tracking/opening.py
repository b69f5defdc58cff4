"""From the logger group to a tracker that is open for one training and closed after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from pytorch_lightning.utilities import rank_zero_only

from namexp.errors import UserError
from namexp.schema.logger import LoggerConfig
from namexp.tracking.tolerant import Tolerant
from namexp.tracking.tracker import RunDescription, Tracker, Untracked


def check_tracking(config: LoggerConfig) -> None:
    """What the logger needs must be there: seen at once, not after the data are read.

    Raises:
        UserError: W&B online without an account; W&B or TensorBoard that is not installed.
    """
    if config.kind == "wandb" and config.mode != "disabled" and find_spec("wandb") is None:
        raise UserError("logger.kind (= wandb): W&B is not installed; pip install wandb, or use logger=csv.")
    if config.kind == "wandb" and config.mode == "online":
        from namexp.tracking.wandb_tracker import check_credentials

        check_credentials()
    if config.kind == "tensorboard" and find_spec("tensorboard") is None:
        raise UserError(
            "logger.kind (= tensorboard): TensorBoard is not installed; pip install "
            "'namexp[tensorboard]', or use logger=csv."
        )


@contextmanager
def open_tracker(config: LoggerConfig, about: RunDescription) -> Iterator[Tracker]:
    """A tracker for one training, closed however that ends. Only the first process of several tells.

    Once it has started, its trouble is not the training's.

    Raises:
        UserError: the tracker does not start.
    """
    tracker = _build(config, about)
    try:
        yield tracker
    except BaseException as error:
        tracker.close(error)
        raise
    tracker.close(None)


def _build(config: LoggerConfig, about: RunDescription) -> Tracker:
    # rooms are entered only when asked for: importing wandb takes as long as starting a small training
    if getattr(rank_zero_only, "rank", 0) != 0:
        return Untracked()
    if config.kind == "wandb" and config.mode != "disabled":
        from namexp.tracking.wandb_tracker import WandbTracker

        return Tolerant(WandbTracker(config, about))
    if config.kind == "tensorboard":
        from namexp.tracking.tensorboard_tracker import TensorboardTracker

        return Tolerant(TensorboardTracker(about))
    return Untracked()

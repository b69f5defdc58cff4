"""A network whose loss explodes goes back to its best state, and on from there with half its rate."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer

from namexp.engine.module import TaskModule

log = logging.getLogger(__name__)


class GoBack(pl.Callback):
    """Looks at every validation, at each network of a pack by itself; the others go on as if alone.

    A network is what has a parameter group of its own, in whose ``share`` its part of the learning rate
    stands. Exploded is a val_loss that is not finite, or so many times the best one. What was found is stored
    with the state to go back to, and acted on when the next epoch begins: a checkpoint holds what was scored.
    """

    def __init__(self, above: float) -> None:
        """Go back where val_loss is more than ``above`` times its best."""
        self._above = above
        self._kept: list[dict[str, Any]] = []
        self._exploded: list[int] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Before anything is learned the start is the best."""
        del pl_module
        if not self._kept:
            optimizer = trainer.optimizers[0]
            self._kept = [_kept(optimizer, place, math.inf) for place in range(len(optimizer.param_groups))]

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Keep what is better than all before; remember what has exploded."""
        assert isinstance(pl_module, TaskModule)
        if trainer.sanity_checking or not self._kept:
            return
        losses = pl_module.of_rows("val_loss", trainer.callback_metrics)
        if len(losses) != len(self._kept):  # rows share their weights
            losses = [float(trainer.callback_metrics["val_loss"])] * len(self._kept)
        self._exploded = []
        for place, loss in enumerate(losses):
            best = self._kept[place]["val_loss"]
            if not math.isfinite(loss) or loss > self._above * best:
                self._exploded.append(place)
            elif loss < best:
                self._kept[place] = _kept(trainer.optimizers[0], place, loss)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go back."""
        assert isinstance(pl_module, TaskModule)
        for place in self._exploded:
            group = trainer.optimizers[0].param_groups[place]
            group["share"] /= 2
            _restore(trainer.optimizers[0], place, self._kept[place])
            one_of_many = len(self._kept) == len(pl_module.row_suffixes)
            name = pl_module.row_suffixes[place].removeprefix("_") if one_of_many else ""
            log.info(
                "epoch %d: val_loss%s has exploded: back to its best state (val_loss %.4g), from now on with "
                "%g of the learning rate",
                trainer.current_epoch,
                f" of {name}" if name else "",
                self._kept[place]["val_loss"],
                group["share"],
            )
        self._exploded = []

    def state_dict(self) -> dict[str, Any]:
        """What to go back to, and what has to."""
        return {"kept": self._kept, "exploded": self._exploded}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self._kept, self._exploded = list(state_dict["kept"]), list(state_dict["exploded"])


def _kept(optimizer: Optimizer, place: int, val_loss: float) -> dict[str, Any]:
    """Weights of a parameter group and what the optimiser knows of them."""
    parameters = optimizer.param_groups[place]["params"]
    return {
        "val_loss": val_loss,
        "weights": [p.detach().clone() for p in parameters],
        "states": [_copied(optimizer.state[p]) if p in optimizer.state else {} for p in parameters],
    }


@torch.no_grad()
def _restore(optimizer: Optimizer, place: int, kept: dict[str, Any]) -> None:
    parameters = optimizer.param_groups[place]["params"]
    for p, weight, state in zip(parameters, kept["weights"], kept["states"], strict=True):
        p.copy_(weight)
        optimizer.state[p] = {
            name: value.to(p.device) if isinstance(value, Tensor) else value
            for name, value in _copied(state).items()
        }


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() if isinstance(value, Tensor) else value for name, value in state.items()}

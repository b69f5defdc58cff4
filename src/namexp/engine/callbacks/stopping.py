"""Reasons to stop before the last epoch."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

import pytorch_lightning as pl

from namexp.engine.module import TaskModule
from namexp.schema.callbacks import CallbacksConfig
from namexp.schema.metric import Metric

log = logging.getLogger(__name__)


class StopAfterSteps(pl.Callback):
    """Ends a training in the middle of an epoch, with a validation.

    Lightning's own ``max_steps`` takes every continued training for one that was cut off inside an
    epoch.
    """

    def __init__(self, max_steps: float) -> None:
        self.max_steps = max_steps

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A continued training may have had them all."""
        self._look(trainer, pl_module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Say ahead that this step is the last: what it has to tell is gathered while it goes on."""
        del batch, batch_idx
        self._look(trainer, pl_module, upcoming=1)

    def _look(self, trainer: pl.Trainer, module: pl.LightningModule, *, upcoming: int = 0) -> None:
        assert isinstance(module, TaskModule)
        if module.updates + upcoming >= self.max_steps:
            trainer.should_stop = True


class Goal(NamedTuple):
    """A headline metric that is good enough, and the setting that says so."""

    metric: Metric
    value: float
    setting: str

    @classmethod
    def of(cls, callbacks: CallbacksConfig, headline: Metric) -> Goal | None:
        """What the callbacks group asks for, if anything."""
        for setting in ("stop_at", "stop_at_esr"):
            value = getattr(callbacks, setting)
            if value is not None:
                return cls(headline, value, f"callbacks.{setting}")
        return None

    def reached(self, values: list[float]) -> bool:
        """Whether every row is as good as that."""
        return all(self.metric.reaches(value, self.value) for value in values)

    def __str__(self) -> str:
        where = "below" if self.metric.better == "lower" else "above"
        return f"every {self.metric.name} is at or {where} {self.setting} = {self.value:g}"


class StopEarly(pl.Callback):
    """Good enough, no progress, or diverged: looked at after every validation.

    Every row counts by itself: training goes on as long as one of them needs it.
    """

    def __init__(
        self,
        headline: Metric,
        *,
        goal: Goal | None = None,
        patience: int | None = None,
        goes_back: bool = False,
    ) -> None:
        """Stop when all rows are good enough, or none improves.

        Args:
            headline: what the rows are measured by.
            goal: it is good enough for every row.
            patience: so many validations without a better val_loss of any row.
            goes_back: whether rows that have diverged go back to where they had not, so that nothing is lost.
        """
        self._goes_back = goes_back
        self._headline, self._goal, self._patience = headline, goal, patience
        self._best: list[float] = []
        self._waited = 0
        self._losses: list[float] = []
        self._values: list[float] = []

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """A continued training that had stopped goes on only where the settings say otherwise."""
        del pl_module
        reason = self._reason() if self._losses else None
        if reason:
            log.info("the training had stopped: %s", reason)
        trainer.should_stop = reason is not None

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Decide."""
        if trainer.sanity_checking:
            return
        assert isinstance(pl_module, TaskModule)
        self._losses = pl_module.of_rows("val_loss", trainer.callback_metrics)
        self._values = pl_module.of_rows(self._headline.name, trainer.callback_metrics)
        self._count()
        reason = self._reason()
        if reason:
            log.info("training stops after epoch %d: %s", trainer.current_epoch + 1, reason)
            trainer.should_stop = True

    def _count(self) -> None:
        """The bests, and the validations since one of them was reached."""
        losses = self._losses
        best = self._best or [math.inf] * len(losses)
        better = any(loss < old for loss, old in zip(losses, best, strict=True))
        self._best = [min(a, b) if math.isfinite(a) else b for a, b in zip(losses, best, strict=True)]
        self._waited = 0 if better else self._waited + 1

    def _reason(self) -> str | None:
        if not self._goes_back and not any(map(math.isfinite, self._losses)):
            return "it has diverged, none has a finite val_loss; try a lower optimizer.lr"
        if self._goal is not None and self._goal.reached(self._values):
            return str(self._goal)
        if self._patience is not None and self._waited >= self._patience:
            return f"no better val_loss in callbacks.patience = {self._patience} validations"
        return None

    def state_dict(self) -> dict[str, Any]:
        """What the last validation said and what patience has seen."""
        # "esrs" is what the first task called them: stored names stay
        return {"best": self._best, "waited": self._waited, "losses": self._losses, "esrs": self._values}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on waiting."""
        self._best, self._waited = state_dict["best"], state_dict["waited"]
        self._losses, self._values = state_dict["losses"], state_dict["esrs"]

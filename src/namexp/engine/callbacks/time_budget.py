"""A training that is as long as it may take, not as many epochs."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import pytorch_lightning as pl
import torch

from namexp.engine.callbacks.stopping import StopAfterSteps
from namexp.engine.module import TaskModule
from namexp.ranks.shared import agreed

log = logging.getLogger(__name__)

WARMING = 3  # steps that compile and allocate
ENOUGH_STEPS, ENOUGH_SECONDS = 20, 1.0  # to know how long one takes ...
AT_MOST = 0.2  # ... but never more than this part of the budget
VALIDATION_SECONDS = 2.0  # of looking at how long a validation takes


class TimeBudget(StopAfterSteps):
    """Measures the first steps and one validation, and says how many steps fit into so many minutes.

    The number is stored: a training that is continued never measures again. Compiling counts as time spent.
    """

    def __init__(self, minutes: float) -> None:
        """Stop after so many minutes of training."""
        super().__init__(math.inf)
        self._seconds = 60.0 * minutes
        self._began = self._last = 0.0
        self._measured: list[float] = []
        self._step_seconds: float | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; go on with the number of steps that is known."""
        self._began = self._last = time.monotonic()
        self._measured = []
        if math.isfinite(self.max_steps):
            self._fix(trainer, pl_module, int(self.max_steps))
        super().on_train_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """What lay between two epochs is no step."""
        del trainer, pl_module
        self._last = math.nan

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The first of an epoch is measured from here."""
        if math.isnan(self._last):
            self._last = time.monotonic()
        super().on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Measure the step; once it is known, say how many there will be."""
        del outputs, batch, batch_idx
        if math.isfinite(self.max_steps):
            return
        assert isinstance(pl_module, TaskModule)
        now = time.monotonic()
        if pl_module.updates > WARMING:
            self._measured.append(now - self._last)
        self._last = now
        steps = agreed(lambda: self._steps(trainer, pl_module))
        if steps is not None:
            self._fix(trainer, pl_module, steps)
            log.info(
                "a step takes %.0f ms: %d steps (%.1f epochs) in %g minutes",
                1000 * (self._step_seconds or math.nan),
                steps,
                steps / trainer.num_training_batches,
                self._seconds / 60,
            )

    def _steps(self, trainer: pl.Trainer, module: TaskModule) -> int | None:
        """Of the whole training; None as long as too little is known. Asked in the first process."""
        gone = time.monotonic() - self._began
        seen = self._measured
        knows_enough = len(seen) >= ENOUGH_STEPS and sum(seen) >= ENOUGH_SECONDS
        if not (seen and (knows_enough or gone >= AT_MOST * self._seconds)):
            return None if gone < self._seconds else module.updates
        before = time.monotonic()
        if module.device.type == "cuda":  # steps may wait there still
            torch.cuda.synchronize()
        step = self._step_seconds = (sum(seen) + time.monotonic() - before) / len(seen)
        validation = _validation_seconds(trainer, module)
        left = self._seconds - (time.monotonic() - self._began) - validation
        every = trainer.num_training_batches * (trainer.check_val_every_n_epoch or 1)
        return module.updates + max(int(left / (step + validation / every)), 1)

    def _fix(self, trainer: pl.Trainer, module: pl.LightningModule, steps: int) -> None:
        assert isinstance(module, TaskModule)
        self.max_steps = steps
        module.end_at(steps)
        trainer.fit_loop.max_epochs = max(math.ceil(steps / trainer.num_training_batches), 1)

    def state_dict(self) -> dict[str, Any]:
        """How many steps there will be."""
        return {"max_steps": self.max_steps, "step_seconds": self._step_seconds}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with that."""
        self.max_steps, self._step_seconds = state_dict["max_steps"], state_dict["step_seconds"]


@torch.no_grad()
def _validation_seconds(trainer: Any, module: TaskModule) -> float:
    """Of all of a validation, by as much of it as can be looked at in a moment."""
    batches = trainer.datamodule.val_dataloader()
    modes = {part: part.training for part in module.modules()}
    began = time.monotonic()
    module.eval()
    found: list[Any] = []
    for batch in batches:
        # as Lightning does, with the precision's and the data's own hooks
        batch = module._on_before_batch_transfer(trainer.precision_plugin.convert_input(batch))
        found.append(module.validate(trainer.strategy.batch_to_device(batch)))
        if time.monotonic() - began > VALIDATION_SECONDS:
            break
    module.validated(found)
    spent = (time.monotonic() - began) * len(batches) / len(found)
    for part, training in modes.items():
        part.training = training
    return spent

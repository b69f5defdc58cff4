"""The seam between the engine and what is learned: what a task must say, and what it gets.

The engine does what is the same for every task: entering the run directory, status, seed, identity, reuse,
resume, processes, schedules, rows of metrics, bests, stopping, signals, the summary, the tracker, the page.
A task says what is learned, from what, how a step goes, what comes out and how it is shown. It holds no
state: one object serves every training, and it is pickled with them.
Letters: S rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple

import pytorch_lightning as pl
from torch import Tensor, nn

from namexp.engine.checkpoint import Best, best_of_trainer
from namexp.engine.module import TaskModule
from namexp.engine.training import C, M, Row, Training
from namexp.errors import UserError
from namexp.ranks.place import Place
from namexp.schema.initial import Initial
from namexp.tracking.tracker import Clip


class Opening(NamedTuple):
    """What is said before the first step: lines, and notices of what may surprise."""

    lines: Sequence[str]
    notices: Sequence[str] = ()


class Scores(NamedTuple):
    """What the best weights achieve.

    Attributes:
        values: (S,) float64 by metric; ``val_loss`` among them.
        rows: more of each row's entry in summary.json: S mappings of plain values.
        facts: more of summary.json.
        shown: whatever ``show`` wants to know.
    """

    values: Mapping[str, Tensor]
    rows: Sequence[Mapping[str, Any]] = ()
    facts: Mapping[str, Any] = {}
    shown: Any = None


class Shown(NamedTuple):
    """What the tracker gets to hear and see, by key."""

    clips: Mapping[str, Clip] = {}
    pictures: Mapping[str, Path] = {}


class TaskData(pl.LightningDataModule):
    """Batches of one process."""

    @property
    @abstractmethod
    def num_batches(self) -> int:
        """Of an epoch, all of them."""


class Task(ABC, Generic[C, M]):
    """One thing that can be learned: a config class C and a class of material M.

    Class attributes:
        name: of the task, in summary.json.
        leaves: patterns of the files that a fit leaves in a run directory besides ``checkpoints/`` and
            ``metrics.csv``: they are taken over with a training.
        products: names of the files that come out, in the order of their worth.
    """

    name: ClassVar[str]
    leaves: ClassVar[tuple[str, ...]] = ()
    products: ClassVar[tuple[str, ...]] = ()

    # --- before the training ----------------------------------------------------------------------

    @abstractmethod
    def rows(self, config: C) -> tuple[Row, ...]:
        """What is reported by itself, from small to large; known from the config alone."""

    def facts(self, config: C) -> Mapping[str, Any]:
        """What is known of the whole from the config alone: numbers, for summary and tracker."""
        del config
        return {}

    def page(self, config: C) -> Mapping[str, Any]:
        """What the run's page is to draw besides metrics, and in which words.

        Parts of summary.json as ``namexp.comparison.declared`` reads them: figures, tables, words.
        """
        del config
        return {}

    @abstractmethod
    def load(self, config: C) -> M:
        """Read and check what is learned from.

        Raises:
            UserError: whatever is wrong with it.
        """

    @abstractmethod
    def network(self, config: C, material: M) -> nn.Module:
        """What learns, with its first weights, which follow from the seed."""

    def start_from(self, initial: Initial, network: nn.Module, material: M) -> str:
        """Put the weights that ``initial`` tells of into the network.

        Returns:
            The sha256 of what was taken, for the training's identity.

        Raises:
            UserError: unreadable, or they do not fit.
        """
        del network, material
        raise UserError(
            f"init_from (= {initial.path}): the task {self.name} cannot start from weights; leave it out."
        )

    def opening(self, config: C, material: M) -> Opening:
        """What is said before the first step."""
        del config, material
        return Opening(())

    def references(self, training: Training[C, M]) -> Mapping[str, Clip]:
        """What the tracker gets to hear before the first step, such as the target."""
        del training
        return {}

    # --- the training -----------------------------------------------------------------------------

    @abstractmethod
    def module(self, training: Training[C, M]) -> TaskModule:
        """The steps."""

    @abstractmethod
    def data(self, training: Training[C, M], place: Place) -> TaskData:
        """The batches of the process at ``place``.

        Raises:
            UserError: they cannot be shared by the processes.
        """

    def callbacks(self, training: Training[C, M]) -> list[pl.Callback]:
        """What this task watches beside what every training does."""
        del training
        return []

    # --- after the training -----------------------------------------------------------------------

    def take_best(self, training: Training[C, M]) -> list[Best]:
        """Put the best weights into the network; where those of each row come from, or of all of them."""
        return [best_of_trainer(training.layout, training.network, training.description)]

    @abstractmethod
    def score(self, training: Training[C, M]) -> Scores:
        """Measure the network, which has its best weights and lies on the CPU in evaluation mode."""

    def export(self, training: Training[C, M], summary: Mapping[str, Any]) -> None:
        """Write the products and verify them."""

    def show(self, training: Training[C, M], scores: Scores, summary: Mapping[str, Any]) -> Shown:
        """Draw and play what came out, as far as the callbacks group wants it."""
        del training, scores, summary
        return Shown()

"""A search over settings with Optuna, whose storage is the sweep directory.

Every trial is a job of the sweep and has its number. Any number of processes may work on one search, at
once or one after the other; what one of them leaves unfinished the next one continues.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from namexp.errors import UserError
from namexp.reading.damage import content_of
from namexp.reading.plain import is_finite
from namexp.runs.files import read_json, write_json, write_text
from namexp.runs.locks import locked, try_lock
from namexp.runs.states import is_done
from namexp.schema.metric import VAL_LOSS, Metric
from namexp.sweeps.directory import SweepLayout, read_record
from namexp.sweeps.space import Space, as_overrides

if TYPE_CHECKING:
    from optuna import Study

log = logging.getLogger(__name__)


class _Claim(NamedTuple):
    """A trial that this process has to itself."""

    number: int
    params: dict[str, Any]


class Search:
    """One process's share of a search."""

    def __init__(
        self,
        config: DictConfig,
        space: Space,
        *,
        trials: int,
        at_once: int,
        objective: str | None,
        seed: int,
        metrics: Sequence[Metric],
    ) -> None:
        """Take the settings.

        Args:
            config: of the whole sweep.
            space: what is searched, and what is fixed.
            trials: so many in all.
            at_once: trials that the launcher gets together.
            objective: a metric of summary.json, averaged over submodels; None: the headline.
            seed: of the sampler.
            metrics: of what is learned, the headline first.

        Raises:
            UserError: a setting makes no sense, or the directory holds a search for something else.
        """
        known = {metric.name: metric for metric in (*metrics, VAL_LOSS)}
        if objective is not None and objective not in known:
            raise UserError(f"hydra.sweeper.objective (= {objective}) must be one of {', '.join(known)}.")
        for name, value in (("trials", trials), ("at_once", at_once)):
            if not isinstance(value, int) or value < 1:
                raise UserError(f"hydra.sweeper.{name} (= {value}) must be a whole number of at least 1.")
        self._config = config
        self._sweep = SweepLayout(Path(config.hydra.sweep.dir))
        self._trials, self._at_once = trials, at_once
        self._objective = metrics[0] if objective is None else known[objective]
        self._fixed, self._space = space
        self._seed = seed
        self._study = _open_study(self._sweep.root, self._objective)

    def run(self, launcher: Launcher) -> list[Any]:
        """Work until there are enough trials."""
        # whole or not at all: jobs of another process read it at this moment
        write_text(self._sweep.root / "multirun.yaml", OmegaConf.to_yaml(self._config))
        results: list[Any] = []
        while True:
            with contextlib.ExitStack() as claims:
                trials = self._claim(claims)
                if not trials:
                    break
                results += self._launch(launcher, trials)
                self._tell(trials)
        self._say_best()
        return results

    def _claim(self, claims: contextlib.ExitStack) -> list[_Claim]:
        """Trials for this process: those that a dead one has left, then new ones."""
        from optuna.samplers import TPESampler
        from optuna.trial import TrialState

        mine: list[_Claim] = []
        with locked(self._file("study.lock")):
            for left in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if len(mine) == self._at_once or not self._take(left.number, claims):
                    continue
                if left.params.keys() == self._space.keys():
                    mine.append(_Claim(left.number, left.params))
                else:  # its process died while it was being asked for
                    self._study.tell(left.number, state=TrialState.FAIL)
            while len(mine) < self._at_once:
                number = len(self._study.get_trials(deepcopy=False))
                if number >= self._trials:
                    break
                # from the number, so that neither a second process nor a later one draws the same again
                self._study.sampler = TPESampler(seed=_mixed(self._seed, number))
                trial = self._study.ask(self._space)
                self._take(trial.number, claims)
                mine.append(_Claim(trial.number, trial.params))
            self._record()
        return mine

    def _take(self, number: int, claims: contextlib.ExitStack) -> bool:
        """Hold trial ``number`` until ``claims`` are closed; False where another process does."""
        file = claims.enter_context(self._file(f"{number}.lock").open("a+", encoding="utf-8"))
        return try_lock(file)

    def _file(self, name: str) -> Path:
        path = self._sweep.root / ".trials" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _record(self) -> None:
        """Keep sweep.json true: the jobs are those that have been asked for."""
        trials = sorted(self._study.get_trials(deepcopy=False), key=lambda trial: trial.number)
        jobs = [{"overrides": [*self._fixed, *as_overrides(trial.params)]} for trial in trials]
        write_json(self._sweep.record, {**read_record(self._sweep), "jobs": jobs})

    def _launch(self, launcher: Launcher, trials: list[_Claim]) -> list[Any]:
        """Run them; a launcher counts upwards, so only trials that follow one another go together."""
        results: list[Any] = []
        # the difference between number and position is the same within a group
        for _, group in itertools.groupby(enumerate(trials), key=lambda item: item[1].number - item[0]):
            claims = [claim for _, claim in group]
            jobs = [[*self._fixed, *as_overrides(claim.params), "resume=auto"] for claim in claims]
            results += launcher.launch(jobs, initial_job_idx=claims[0].number)
        return results

    def _tell(self, trials: list[_Claim]) -> None:
        from optuna.trial import TrialState

        for claim in trials:
            value = self._value(claim.number)
            if value is None:
                self._study.tell(claim.number, state=TrialState.FAIL)
            else:
                self._study.tell(claim.number, value)

    def _value(self, number: int) -> float | None:
        """The objective of a job that is done; None of one that failed."""
        run = self._sweep.run(number)
        if not is_done(run):
            return None
        with content_of(run.summary):
            submodels = read_json(run.summary).get("submodels") or []
            values = [submodel.get(self._objective.name) for submodel in submodels]
        known = [value for value in values if is_finite(value)]
        return statistics.fmean(known) if known and len(known) == len(values) else None

    def _say_best(self) -> None:
        from optuna.trial import TrialState

        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if done:
            objective = self._objective
            best = min(done, key=lambda t: math.inf if t.value is None else objective.cost(t.value))
            log.info(
                "best of %d: job %d, %s %.5g with %s",
                len(done), best.number, objective.name, best.value, " ".join(as_overrides(best.params)),
            )  # fmt: skip


def _mixed(seed: int, number: int) -> int:
    """A seed of its own for every trial: the first draws of neighbouring seeds are alike."""
    digest = hashlib.sha256(f"{seed} {number}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def _open_study(root: Path, objective: Metric) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    root.mkdir(parents=True, exist_ok=True)
    # A journal is only ever appended to: it needs no server and works on network file systems.
    storage = JournalStorage(JournalFileBackend(str(root / "study.journal")))
    direction: Literal["minimize", "maximize"] = "minimize" if objective.better == "lower" else "maximize"
    study = optuna.create_study(
        storage=storage, study_name="namexp", load_if_exists=True, direction=direction
    )
    before = study.user_attrs.get("objective", objective.name)  # older ones do not say it
    if before != objective.name or study.direction.name.lower() != direction:
        raise UserError(
            f"{root}: is searched by {before} ({study.direction.name.lower()}), not by {objective.name} "
            f"({direction}); choose another hydra.sweep.dir."
        )
    if not study.user_attrs:
        study.set_user_attr("objective", objective.name)
    return study

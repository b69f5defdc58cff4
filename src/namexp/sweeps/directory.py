"""A sweep directory: its jobs, and what has become of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from namexp.atomic import remove_leftovers
from namexp.errors import UserError
from namexp.reading.damage import content_of
from namexp.reading.plain import is_finite
from namexp.runs.entry import is_held
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.runs.states import CUT_OFF, DONE, FAILED, INTERRUPTED, MISSING, RUNNING, UNKNOWN
from namexp.runs.summaries import metrics_of
from namexp.schema.fields import Fields, is_list, shown
from namexp.schema.metric import Metric

RECORD = "sweep.json"
STATES = (DONE, RUNNING, FAILED, INTERRUPTED, CUT_OFF, MISSING, UNKNOWN)


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        number: also the name of its directory.
        overrides: its own.
        state: done, failed, interrupted (Ctrl-C, or told to stop), running, cut off (its process
            died), missing (never begun).
        reason: of a failure; else None.
        reused_from: the run whose training it shares; else None.
        headline: the metric that ranks it, once it has begun.
        figures: that metric of its submodels.
    """

    number: int
    overrides: tuple[str, ...]
    state: str
    reason: str | None = None
    reused_from: str | None = None
    headline: Metric | None = None
    figures: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class SweepLayout:
    """Where everything of one sweep lies."""

    root: Path

    @property
    def record(self) -> Path:
        """The jobs, written before the first one starts."""
        return self.root / RECORD

    @property
    def interrupted(self) -> Path:
        """There, with the number of the process, when Ctrl-C has ended the sweep: no job begins any more."""
        return self.root / ".interrupted"

    def remove_leftovers(self) -> None:
        """Temporary files of processes that were killed while they wrote; jobs remove their own."""
        for folder in (self.root, self.root / ".trainings", self.root / ".trials"):
            remove_leftovers(folder)

    def run(self, number: int) -> RunLayout:
        """The directory of job ``number``."""
        return RunLayout(self.root / str(number))


def read_record(sweep: SweepLayout) -> dict[str, Any]:
    """What the sweep is to do: the overrides of its jobs, of the whole of it, and of Hydra.

    Raises:
        UserError: there is no sweep, or its record is damaged.
    """
    if not sweep.record.exists():
        raise UserError(f"{sweep.root}: holds no {sweep.record.name}, so it is not a sweep directory.")
    record = read_json(sweep.record)
    with content_of(sweep.record):
        _check_record(Fields(record, ""))
    return record


def _check_record(record: Fields) -> None:
    """The shape that everybody relies on.

    Raises:
        UserError: another one.
    """
    for i, job in enumerate(record.raw("jobs")):
        _check_texts(Fields(job, f"jobs[{i}]"), "overrides")
    for name in ("task", "hydra", "flags", "space"):
        if record.has(name):
            _check_texts(record, name)


def _check_texts(fields: Fields, name: str) -> None:
    found = fields.raw(name)
    if not is_list(found) or not all(isinstance(item, str) for item in found):
        raise UserError(f"{fields.where(name)} (= {shown(found)}) must be a list of texts.")


def recorded_jobs(root: Path) -> list[tuple[str, ...]] | None:
    """The overrides of every job of the sweep in ``root``; None where there is no record to read."""
    try:
        entries = read_record(SweepLayout(root))["jobs"]
        return [tuple(str(override) for override in entry["overrides"]) for entry in entries]
    except (UserError, OSError, KeyError, TypeError):
        return None


def recorded_flags(root: Path) -> tuple[str, ...]:
    """Where the sweep in ``root`` told Hydra to look for YAML files, as flags; none where it does not say."""
    try:
        return tuple(str(word) for word in read_record(SweepLayout(root)).get("flags", ()))
    except (UserError, OSError, TypeError):
        return ()


def is_search(sweep: SweepLayout) -> bool:
    """Whether its jobs are found as it goes, by one process or several."""
    return read_record(sweep).get("space") is not None


def read_jobs(sweep: SweepLayout) -> list[Job]:
    """Every job as it stands.

    Raises:
        UserError: there is no sweep.
    """
    entries = read_record(sweep)["jobs"]
    return [_job(sweep.run(i), i, tuple(entry["overrides"])) for i, entry in enumerate(entries)]


def _job(run: RunLayout, number: int, overrides: tuple[str, ...]) -> Job:
    if not run.status.exists():
        state = RUNNING if is_held(run) else MISSING
        return Job(number, overrides, state)
    try:
        status = read_json(run.status)
        summary = read_json(run.summary) if run.summary.exists() else {}
    except UserError as error:  # the other jobs are shown nevertheless
        return Job(number, overrides, UNKNOWN, str(error))
    said = status.get("state")
    state = said if isinstance(said, str) and said in STATES else UNKNOWN
    headline = metrics_of(summary or status)[0]  # status.json says it from the beginning
    if state == RUNNING and is_held(run) is False:
        return Job(number, overrides, CUT_OFF, "its process ended without a word", headline=headline)
    return Job(
        number,
        overrides,
        state,
        reason=None if state == DONE else _text(status.get("error")),
        reused_from=_text(summary.get("reused_from")),
        headline=headline,
        figures=tuple(_figure(entry, headline) for entry in _rows(summary)),
    )


def _rows(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = summary.get("submodels")
    return [row for row in entries if isinstance(row, Mapping)] if isinstance(entries, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _figure(row: Mapping[str, Any], headline: Metric) -> float | None:
    value = row.get(headline.name)
    return float(value) if is_finite(value) else None


def unfinished(root: Path) -> list[Job]:
    """The jobs that somebody must still do."""
    sweep = SweepLayout(root)
    # Other processes that work on the same search have jobs of their own
    others = (RUNNING, MISSING) if is_search(sweep) else (RUNNING,)
    return [job for job in read_jobs(sweep) if job.state != DONE and job.state not in others]


def job_table(jobs: Sequence[Job]) -> str:
    """A line for each job with the overrides in which they differ, the failures, and how many are what."""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    names = dict.fromkeys(job.headline.name for job in jobs if job.headline is not None)
    rows = [("job", "state", "/".join(names) or "figure", "overrides")]
    for job in jobs:
        own = " ".join(override for override in job.overrides if override not in common)
        rows.append((str(job.number), _state(job), _figures(job), own))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    reasons = [f"job {job.number} {job.state}: {job.reason}" for job in jobs if job.reason]
    return "\n".join([*lines, *reasons, count(jobs)])


def count(jobs: Sequence[Job]) -> str:
    """``3 done, 1 failed``."""
    numbers = {state: sum(job.state == state for job in jobs) for state in STATES}
    return ", ".join(f"{n} {state}" for state, n in numbers.items() if n) or "no jobs"


def _state(job: Job) -> str:
    return f"{job.state} (as {Path(job.reused_from).name})" if job.reused_from else job.state


def _figures(job: Job) -> str:
    return " ".join("-" if figure is None else f"{figure:.4f}" for figure in job.figures)

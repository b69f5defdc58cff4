"""Which settings tell runs apart, and the command that repeats one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any, NamedTuple

from namexp.comparison.records import Run
from namexp.runs.states import MISSING

# Shown in columns of their own, or true of every two runs.
OWN_COLUMNS = ("seed",)
# They say what happens beside a training, and hide what tells results apart.
BESIDE = ("callbacks.progress", "callbacks.plots", "callbacks.audio", "callbacks.report", "logger")
SHOWN_WITHOUT_OVERRIDES = 6

_ABSENT = object()


class Difference(NamedTuple):
    """A setting whose value is not the same in all runs.

    Attributes:
        key: dotted, or the name of a group whose chosen option differs.
        chosen: whether somebody set it, rather than that it follows from something else.
    """

    key: str
    chosen: bool


def differences(runs: Sequence[Run]) -> list[Difference]:
    """What differs between the runs, the settings that somebody chose first.

    A job that never began is known by its overrides only: what they do not name does not count as
    different. With no overrides anywhere the first few settings count as chosen.
    """
    left_out = (*OWN_COLUMNS, *BESIDE)
    keys = dict.fromkeys(
        key
        for run in runs
        for key in run.settings
        if not any(f"{key}.".startswith(f"{name}.") for name in left_out)
    )
    known = [run for run in runs if _is_known(run)]
    others = [run for run in runs if not _is_known(run)]
    named = {name for run in runs for name in _named(run)}
    found = [Difference(key, key in named) for key in keys if _differs(key, known, others)]
    if not any(d.chosen for d in found):
        return [Difference(d.key, i < SHOWN_WITHOUT_OVERRIDES) for i, d in enumerate(found)]
    return sorted(found, key=lambda difference: not difference.chosen)


def _is_known(run: Run) -> bool:
    """Whether all of its settings are."""
    return run.state != MISSING and bool(run.config)


def _differs(key: str, known: Sequence[Run], others: Sequence[Run]) -> bool:
    values = [_plain(run.settings.get(key, _ABSENT)) for run in known]
    said = [_plain(run.settings[key]) for run in others if key in run.settings]
    # a file that an override names relative to somewhere is one of those that are known in full
    values += [value for value in said if not any(other.endswith(f"/{value}") for other in values)]
    return any(value != values[0] for value in values)


def _plain(value: Any) -> str:
    """As text without blanks, quotes and case: a sweep's override says ``[2,5]`` and ``False``."""
    return re.sub(r"[\s'\"]", "", str(value)).lower() if value is not _ABSENT else "\0"


def _named(run: Run) -> list[str]:
    return [override.split("=", 1)[0].lstrip("+~") for override in run.overrides or ()]


def command(run: Run) -> str | None:
    """The command line that trains this run again; None where its overrides were not kept.

    For a job of a sweep the overrides are those of the job. The seed is always said, so that the
    command outlives another default. ``hydra.*`` settings are left out: the new run gets a
    directory of its own. ``sweep=`` stays, which may set more than what its jobs choose, and
    ``hydra.mode=RUN`` makes one run of it.
    """
    if run.overrides is None:
        return None
    words = [o for o in run.overrides if not o.startswith(("hydra.", "hydra/"))]
    if run.seed is not None and "seed" not in _named(run):
        words.append(f"seed={run.seed}")
    if any(word.startswith("sweep=") for word in words):
        words.append("hydra.mode=RUN")
    return shlex.join(["python", "-m", "namexp.train", *run.flags, *words])

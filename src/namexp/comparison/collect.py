"""From paths to records: finds run directories and logs of other programs, and reads each."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from namexp.comparison.foreign import is_log, read_log
from namexp.comparison.reading import read_run
from namexp.comparison.records import Run
from namexp.errors import UserError, one_line
from namexp.runs.layout import RunLayout
from namexp.runs.states import MISSING, UNKNOWN
from namexp.sweeps.directory import RECORD, recorded_flags, recorded_jobs

# The overrides of every job that a sweep directory promises, in order; None where nobody knows.
Plan = Callable[[Path], Sequence[Sequence[str]] | None]

SHOW_PROGRESS_FROM = 20


def collect(paths: Sequence[Path], *, plan: Plan = recorded_jobs) -> list[Run]:
    """Read every run directory that is, or lies below, one of ``paths``.

    Nothing that a run directory holds stops this: what cannot be read is None in its record and a
    line in ``damages``.

    Args:
        paths: run directories, directories that hold some at any depth, and training logs of other programs
            (``foreign``).
        plan: of a sweep directory; jobs without a directory are recorded as missing.

    Returns:
        In the order of ``paths``, below each by name with numbers in their order.

    Raises:
        UserError: a path is missing, there is no run in it, or it is no log that is known.
    """
    sweeps: list[Path] = []
    roots: dict[Path, None] = {}  # an ordered set
    for path in paths:
        if is_log(path):
            roots[path.resolve()] = None
            continue
        known = len(sweeps)
        found = _find(path, sweeps)
        if not found and not any(plan(sweep) for sweep in sweeps[known:]):
            raise UserError(
                f"{path}: holds no run directory; give the directory of a run or of a sweep of namexp.train."
            )
        roots.update(dict.fromkeys(found))
    base = _base(paths)
    shown = tqdm(roots, desc="reading runs", unit="run", disable=len(roots) < SHOW_PROGRESS_FROM)
    logs = Counter(root.name for root in roots if is_log(root))
    runs = [_read(root, base, is_alone=logs[root.name] == 1) for root in shown]
    for sweep in dict.fromkeys(sweeps):
        runs = _with_missing(runs, sweep, plan(sweep), base)
    return runs


def _read(root: Path, base: Path, *, is_alone: bool) -> Run:
    if is_log(root):
        return read_log(root, _printable(root.name if is_alone else root.as_posix()))
    label = _label(root, base)
    try:
        return read_run(root, label)
    except Exception as error:  # whatever a directory holds costs its own row, and never the page
        reason = f"cannot be read: {type(error).__name__}: {one_line(error)[:200]}"
        return Run(root, label, UNKNOWN, reason=reason, damages=(reason,))


def is_run(path: Path) -> bool:
    """Whether namexp.train has worked, or begun to work, in ``path``."""
    run = RunLayout(path)
    begun = (run.status, run.summary, path / ".hydra" / "overrides.yaml")
    return any(p.exists() for p in begun) or (run.config.exists() and run.metrics.exists())


def _find(path: Path, sweeps: list[Path]) -> list[Path]:
    """Run directories in ``path``; the sweeps passed on the way are added to ``sweeps``."""
    if not path.is_dir():
        raise UserError(
            f"{path}: no such directory; give a run directory, a sweep directory or a training log (.csv)."
        )
    found = []
    for folder, inner, files in os.walk(path.resolve()):
        here = Path(folder)
        if is_run(here):
            found.append(here)
            inner.clear()  # checkpoints, W&B's files
            continue
        if RECORD in files:
            sweeps.append(here)
        inner[:] = [name for name in inner if not name.startswith(".")]
    return sorted(found, key=natural)


def natural(path: Path) -> list[tuple[int, int | str]]:
    """A sorting key: job 10 comes after job 9."""
    parts = re.split(r"(\d+)", str(path))
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts]


def _base(paths: Iterable[Path]) -> Path:
    """What all labels leave out."""
    folders = [p.parent if is_run(p) else p for p in (path.resolve() for path in paths if not is_log(path))]
    return Path(os.path.commonpath(folders)) if folders else Path()


def _label(root: Path, base: Path) -> str:
    return _printable(Path(os.path.relpath(root, base)).as_posix())


def _printable(name: str) -> str:
    """A name that a page can hold: bytes that are no text are shown as such."""
    return name.encode("utf-8", "backslashreplace").decode()


def _with_missing(
    runs: list[Run], sweep: Path, planned: Sequence[Sequence[str]] | None, base: Path
) -> list[Run]:
    """``runs`` and, after those of ``sweep``, its jobs that have no directory."""
    if planned is None:
        return runs
    own = [run for run in runs if run.root.is_relative_to(sweep)]
    numbers = {run.root.name for run in own if run.root.parent == sweep}
    begun = {run.overrides for run in own}
    missing = [
        _missing(sweep / str(number), tuple(overrides), base)
        for number, overrides in enumerate(planned)
        if str(number) not in numbers and tuple(overrides) not in begun
    ]
    if not missing:
        return runs
    others_after = [run for run in runs if run not in own]
    ordered = sorted([*own, *missing], key=lambda run: natural(run.root))
    place = runs.index(own[0]) if own else len(runs)
    before = sum(1 for run in runs[:place] if run not in own)
    return [*others_after[:before], *ordered, *others_after[before:]]


def _missing(root: Path, overrides: tuple[str, ...], base: Path) -> Run:
    settings: dict[str, Any] = dict(o.split("=", 1) for o in overrides if "=" in o)
    flags = recorded_flags(root.parent)
    run = Run(root, _label(root, base), MISSING, settings=settings, overrides=overrides, flags=flags)
    seed = settings.get("seed", "")
    return replace(run, seed=int(seed)) if re.fullmatch(r"-?\d+", seed) else run

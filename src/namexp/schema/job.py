"""What the files around a run directory say about the job: alone, or one of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import ListConfig, OmegaConf

from namexp.errors import UserError, one_line


@dataclass(frozen=True)
class Job:
    """One execution of the config.

    Attributes:
        sweep: the sweep directory; None for a single run.
        number: the job's directory relative to it, ``0`` and so on; None for a single run.
        choices: the overrides that this job does not share with the whole sweep.
    """

    sweep: Path | None
    number: str | None
    choices: tuple[str, ...]


def job_of(run_dir: Path) -> Job:
    """Read what Hydra left: ``multirun.yaml`` above the run directory, overrides in ``.hydra``.

    Files and not Hydra's state, so that a job that is run again by itself still belongs to its sweep.

    Raises:
        UserError: one of the files is damaged.
    """
    run_dir = run_dir.resolve()
    for above in run_dir.parents[:2]:
        if (above / "multirun.yaml").is_file():
            shared = _texts(above / "multirun.yaml", "hydra.overrides.task")
            own = _texts(run_dir / ".hydra" / "overrides.yaml", None)
            choices = tuple(override for override in own if override not in shared)
            return Job(above, run_dir.relative_to(above).as_posix(), choices)
    return Job(None, None, ())


def _texts(path: Path, place: str | None) -> list[str]:
    """A list of texts in a YAML file; empty where there is none."""
    if not path.is_file():
        return []
    try:
        tree: Any = OmegaConf.load(path)
        found = tree if place is None else OmegaConf.select(tree, place)
    except Exception as error:  # YAML has many kinds of errors
        raise UserError(f"{path}: cannot be read: {one_line(error)}.") from None
    return [str(item) for item in found] if isinstance(found, ListConfig) else []

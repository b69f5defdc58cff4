"""Where a run belongs, as the files around it say: alone, or one of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from namexp.errors import UserError, one_line
from namexp.reading.yaml_text import read_yaml


@dataclass(frozen=True)
class Origin:
    """Where a run belongs.

    Attributes:
        sweep: the sweep directory; None for a single run.
        number: the job's directory relative to it, ``0`` and so on; None for a single run.
        choices: the overrides that this job does not share with the whole sweep.
    """

    sweep: Path | None
    number: str | None
    choices: tuple[str, ...]


def origin_of(run_dir: Path) -> Origin:
    """Read what Hydra left: ``multirun.yaml`` above the run directory, overrides in ``.hydra``.

    Files and not Hydra's state, so that a job that is run again by itself still belongs to its sweep.

    Raises:
        UserError: one of the files is damaged.
    """
    run_dir = run_dir.resolve()
    for above in run_dir.parents[:2]:
        if (above / "multirun.yaml").is_file():
            try:
                fixed = _fixed_keys(_texts(above / "multirun.yaml", "hydra.overrides.task"))
            except HydraException as error:
                raise UserError(f"{above / 'multirun.yaml'}: {one_line(error)[:300]}.") from None
            own = _texts(run_dir / ".hydra" / "overrides.yaml", None)
            choices = tuple(text for text in own if _key(text) not in {*fixed, "resume"})
            return Origin(above, run_dir.relative_to(above).as_posix(), choices)
    return Origin(None, None, ())


@dataclass(frozen=True)
class LoggedAs:
    """Under which names W&B has a run; None where its own choice holds."""

    project: str | None
    entity: str | None
    group: str | None


def logged_as(run_dir: Path) -> LoggedAs:
    """What config.yaml says, and for the group of a sweep's job the name of the sweep directory.

    Raises:
        UserError: one of the files is damaged.
    """
    found, origin = _found(run_dir / "config.yaml", "logger"), origin_of(run_dir)
    said = found if isinstance(found, dict) else {}
    project, entity, group = (
        value if isinstance(value := said.get(name), str) else None for name in ("project", "entity", "group")
    )
    return LoggedAs(project, entity, group or (origin.sweep.name if origin.sweep else None))


def _fixed_keys(overrides: list[str]) -> set[str]:
    """What every job of the sweep is given alike."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    return {_key(override.input_line or "") for override in parsed if not override.is_sweep_override()}


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~")


def _texts(path: Path, place: str | None) -> list[str]:
    """A list of texts in a YAML file; empty where there is none."""
    found = _found(path, place)
    return [str(item) for item in found] if isinstance(found, list) else []


def _found(path: Path, place: str | None) -> Any:
    """What a YAML file says at a place; None where there is none."""
    if not path.is_file():
        return None
    found = read_yaml(path)  # what refers to something in it stays as it is spelt
    for name in place.split(".") if place is not None else ():
        found = found.get(name) if isinstance(found, dict) else None
    return found

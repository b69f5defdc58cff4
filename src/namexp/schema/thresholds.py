"""The ``max_value`` thresholds of a SlimmableContainer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import is_list, is_number, shown

log = logging.getLogger(__name__)

NAMED = ("uniform",)


def check_thresholds_setting(value: Any, place: str) -> None:
    """What can be said of the setting without knowing how many submodels there are."""
    if isinstance(value, str):
        if value not in NAMED:
            raise UserError(
                f"{place} (= '{value}') must be {' or '.join(NAMED)}, or a list with one threshold "
                "for each submodel, such as [0.3,1.0]."
            )
        return
    if not is_list(value) or len(value) == 0:
        raise UserError(f"{place} (= {shown(value)}) must be 'uniform' or a list of thresholds.")
    for item in value:
        if not is_number(item):
            raise UserError(f"{place} (= {shown(value)}) must hold finite numbers, got {item!r}.")


def resolve_thresholds(value: Any, num_submodels: int, place: str) -> list[float]:
    """The thresholds as the file will hold them.

    Args:
        value: ``"uniform"`` ((i+1)/S) or a list; its last value is set to 1.0, with a notice.
        num_submodels: S.
        place: name of the setting, for errors.

    Raises:
        UserError: not one per submodel, not finite, not > 0, not strictly ascending. The C++
            runtime plays the first submodel with ``slim < max_value`` and refuses a file whose
            thresholds do not ascend.
    """
    check_thresholds_setting(value, place)
    if isinstance(value, str):
        return [(i + 1) / num_submodels for i in range(num_submodels)]
    if len(value) != num_submodels:
        raise UserError(
            f"{place} (= {list(value)}) has {len(value)} thresholds and the container has "
            f"{num_submodels} submodels; give one for each."
        )
    resolved = [float(v) for v in value]
    if resolved[-1] != 1.0:
        log.info("%s: the last threshold %g is written as 1.0", place, resolved[-1])
        resolved[-1] = 1.0
    _check_ascending(resolved, list(value), place)
    return resolved


def _check_ascending(resolved: Sequence[float], given: list[Any], place: str) -> None:
    before = 0.0
    for value in resolved:
        if value <= before:
            raise UserError(
                f"{place} (= {given}) gives the thresholds {list(resolved)}, which must be above 0 "
                f"and strictly ascending up to 1.0, but {value:g} does not follow {before:g}."
            )
        before = value

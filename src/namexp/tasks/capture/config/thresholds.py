"""The ``max_value`` thresholds of a SlimmableContainer."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import is_list, is_number, shown

log = logging.getLogger(__name__)

NAMED = ("uniform", "compute", "quality")
QUALITY_FLOOR_DB = 0.5  # what a submodel that gains nothing still gets of the knob's way


def setting_of(text: str | None, place: str) -> Any:
    """What a command line says: ``0.3,1.0`` is a list of numbers, a word stays a word.

    Raises:
        UserError: it is neither.
    """
    if text is None or text.strip().isidentifier():
        return text
    try:
        return [float(part) for part in text.strip("[] ").split(",")]
    except ValueError:
        raise UserError(
            f"{place} (= {text}) must be {', '.join(NAMED)} or numbers such as 0.3,1.0."
        ) from None


def check_thresholds_setting(value: Any, place: str) -> None:
    """What can be said of the setting without knowing how many submodels there are."""
    if isinstance(value, str):
        if value not in NAMED:
            raise UserError(
                f"{place} (= {shown(value)}) must be {', '.join(NAMED)}, or a list with one threshold "
                "for each submodel, such as [0.3,1.0]."
            )
        return
    if not is_list(value) or len(value) == 0:
        raise UserError(f"{place} (= {shown(value)}) must be {', '.join(NAMED)}, or a list of thresholds.")
    for item in value:
        if not is_number(item):
            raise UserError(f"{place} (= {shown(value)}) must hold finite numbers, got {item!r}.")


def resolve_thresholds(
    value: Any,
    num_submodels: int,
    place: str,
    *,
    macs_per_sample: Sequence[float] = (),
    esrs: Sequence[float] = (),
) -> list[float]:
    """The thresholds as the file will hold them.

    Args:
        value: ``"uniform"``: (i+1)/S. ``"compute"``: each submodel's share of the way is its share of
            the summed cost. ``"quality"``: its share of the ESR in dB that the submodels gain one after
            the other. Or a list; its last value is set to 1.0, with a notice.
        num_submodels: S.
        place: name of the setting, for errors.
        macs_per_sample: (S,) cost of each submodel, for ``compute``.
        esrs: (S,) of the trained submodels, for ``quality``.

    Raises:
        UserError: not one per submodel, not finite, not > 0, not strictly ascending. The C++
            runtime plays the first submodel with ``slim < max_value`` and refuses a file whose
            thresholds do not ascend.
    """
    check_thresholds_setting(value, place)
    if value == "uniform":
        return [(i + 1) / num_submodels for i in range(num_submodels)]
    if value == "compute":
        assert len(macs_per_sample) == num_submodels
        return _cumulated(macs_per_sample)
    if value == "quality":
        assert len(esrs) == num_submodels
        return _cumulated(_gains_db(esrs))
    return _given(value, num_submodels, place)


def _cumulated(shares: Sequence[float]) -> list[float]:
    """max_value_i = (s_0 + ... + s_i) / (s_0 + ... + s_{S-1}), the last exactly 1."""
    sums = list(itertools.accumulate(shares))
    return [value / sums[-1] for value in sums]


def _gains_db(esrs: Sequence[float]) -> list[float]:
    """ESR in dB that each submodel gains over the one before, the first over silence (ESR 1)."""
    gains = []
    for before, esr in itertools.pairwise([1.0, *esrs]):
        known = math.isfinite(before) and math.isfinite(esr) and before > 0 and esr > 0
        gain = 10.0 * math.log10(before / esr) if known else QUALITY_FLOOR_DB
        gains.append(max(gain, QUALITY_FLOOR_DB))
    return gains


def _given(value: Any, num_submodels: int, place: str) -> list[float]:
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

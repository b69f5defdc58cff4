"""What a search may choose from: Hydra's grammar for sweeps in Optuna's terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep

from namexp.errors import UserError, one_line

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


class Space(NamedTuple):
    """A command line of a search.

    Attributes:
        fixed: the same in every trial, as overrides.
        searched: by the key of the setting or group.
    """

    fixed: list[str]
    searched: dict[str, BaseDistribution]

    def example(self) -> list[str]:
        """Overrides of a trial, as far as they say what is learned: the first option of a group."""
        from optuna.distributions import CategoricalDistribution

        groups = {
            key: choices.choices[0]
            for key, choices in self.searched.items()
            if "." not in key and isinstance(choices, CategoricalDistribution)
        }
        return [*self.fixed, *as_overrides(groups)]


def split_space(overrides: Sequence[str]) -> Space:
    """What is fixed and what is searched; a later word on a key replaces an earlier one.

    Raises:
        UserError: Optuna is not installed, nothing is searched, or it cannot be.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise UserError("sweep=search needs Optuna: pip install 'namexp[search]'.") from None
    fixed: dict[str, str] = {}
    space: dict[str, BaseDistribution] = {}
    for override in OverridesParser.create().parse_overrides(overrides=list(overrides)):
        key = override.get_key_element()
        fixed.pop(key, None)
        space.pop(key, None)
        if override.is_sweep_override():
            space[key] = _distribution(override)
        elif key != "resume":
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
    if not space:
        raise UserError("sweep=search: nothing is searched; give hydra.sweeper.params.")
    return Space(list(fixed.values()), space)


def _distribution(override: Override) -> BaseDistribution:
    """Optuna's form of a sweep in Hydra's grammar.

    Raises:
        UserError: a glob, or an interval that is none.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep = override.value()
    is_log = isinstance(sweep, IntervalSweep | RangeSweep | ChoiceSweep) and "log" in sweep.tags
    try:
        if isinstance(sweep, IntervalSweep) and sweep.start is not None and sweep.end is not None:
            whole = isinstance(sweep.start, int) and isinstance(sweep.end, int)
            if whole:
                return IntDistribution(int(sweep.start), int(sweep.end), log=is_log)
            return FloatDistribution(sweep.start, sweep.end, log=is_log)
        if isinstance(sweep, RangeSweep) and sweep.start is not None and sweep.stop is not None:
            last = sweep.stop - sweep.step  # Hydra's range ends before its stop
            if all(isinstance(v, int) for v in (sweep.start, sweep.stop, sweep.step)):
                return IntDistribution(int(sweep.start), int(last), step=int(sweep.step))
            return FloatDistribution(sweep.start, last, step=sweep.step)
        # as text: lists and words alike, and each as it is written on a command line
        return CategoricalDistribution(list(override.sweep_string_iterator()))
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{override.input_line}: cannot be searched: {one_line(error).rstrip('.')}."
        ) from None


def as_overrides(params: dict[str, Any]) -> list[str]:
    """What Optuna has chosen, as a command line says it."""
    return [f"{key}={value}" for key, value in params.items()]

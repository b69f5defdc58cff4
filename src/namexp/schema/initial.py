"""Where first weights come from: ``init_from`` and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from namexp.errors import UserError
from namexp.schema.fields import as_integer, is_number, shown

SETTINGS = ("init_from", "init_average", "init_epsilon", "init_partial")


class Averaging(NamedTuple):
    """The mean of a directory's newest checkpoints.

    Attributes:
        number: how many.
        epsilon: None: all count alike; else the i-th, from the newest, counts epsilon (1 - epsilon)^i.
        normalize: divide these by their sum, which is below 1.
    """

    number: int
    epsilon: float | None = None
    normalize: bool = False

    @classmethod
    def checked(
        cls, count: Any, epsilon: Any, *, normalize: bool = False, names: tuple[str, str]
    ) -> Averaging | None:
        """As given; None where nothing is averaged.

        Args:
            count: None: nothing is averaged.
            epsilon: needs a count.
            normalize: needs an epsilon.
            names: of both settings, for messages.

        Raises:
            UserError: out of range, or one without the other.
        """
        of_count, of_epsilon = names
        if count is None:
            if epsilon is not None or normalize:
                raise UserError(
                    f"{of_epsilon} (= {shown(epsilon)}) weighs what {of_count} averages; give that a number."
                )
            return None
        if epsilon is not None and not (is_number(epsilon) and 0 < epsilon <= 1):
            raise UserError(f"{of_epsilon} (= {shown(epsilon)}) must be above 0 and at most 1.")
        number = as_integer(count, of_count, minimum=1)
        return cls(number, None if epsilon is None else float(epsilon), normalize)


class Initial(NamedTuple):
    """What ``init_from`` and its companions say.

    Attributes:
        path: of a run, a checkpoint or a model.
        averaging: of the checkpoints in the directory ``path``.
        partial: take what fits, by name and shape.
    """

    path: str
    averaging: Averaging | None = None
    partial: bool = False


def parse_initial(given: Mapping[str, Any]) -> Initial | None:
    """The four settings of a config; None where the weights are drawn from the seed.

    Raises:
        UserError: one of them is out of range, or has nothing to say without ``init_from``.
    """
    path, average, epsilon, partial = (given.get(name) for name in SETTINGS)
    if path is None:
        for name in SETTINGS[1:]:
            if given.get(name) not in (None, False):
                raise UserError(f"{name} (= {shown(given[name])}) says how init_from=PATH is read; give it.")
        return None
    if not isinstance(path, str):
        raise UserError(f"init_from (= {shown(path)}) must be the path of a run, a checkpoint or a model.")
    if partial not in (None, False, True):
        raise UserError(f"init_partial (= {shown(partial)}) must be true or false.")
    averaging = Averaging.checked(average, epsilon, names=("init_average", "init_epsilon"))
    return Initial(path, averaging, bool(partial))

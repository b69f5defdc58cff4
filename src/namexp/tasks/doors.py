"""What finished models of a task are good for, on the command line.

The doors find out by ``tasks.known`` whose model it is that they were given, and let its task do the work.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from namexp.errors import UserError


class Doors(ABC):
    """A task's part in the commands. It is given a command's arguments, and says what the command prints.

    Class attributes:
        models: what a model of this task is, for people: ``a model of an amp``.
        own_options: of the commands: which options are this task's, by their attribute.
    """

    models: ClassVar[str]
    own_options: ClassVar[frozenset[str]]

    @abstractmethod
    def evaluate(self, arguments: Namespace) -> Iterable[str]:
        """The figures, also written where ``--json`` says; lines."""

    @abstractmethod
    def export(self, arguments: Namespace) -> Iterable[Path]:
        """Write the files, the model last; their paths."""

    @abstractmethod
    def inspect(self, arguments: Namespace) -> Inspected:
        """What is in a file."""

    @abstractmethod
    def describe(self, config: Any) -> Mapping[str, Any]:
        """What a model is by its config alone: plain values."""

    def synthesize(self, arguments: Namespace) -> Iterable[str]:
        """Turn mel spectrograms into sound; a line for each file, when it is there.

        Raises:
            UserError: the model is for something else.
        """
        raise UserError(f"{arguments.model}: is {self.models}, which synthesises nothing{self.instead}")

    def benchmark(self, config: Any, arguments: Namespace) -> Mapping[str, Any]:
        """Time a model with random weights at synthesis.

        Raises:
            UserError: the model is for something else.
        """
        del config
        raise UserError(
            f"--benchmark {arguments.benchmark}: is {self.models}; synthesis is timed of vocoders, such as "
            "hifigan_v1."
        )

    instead: ClassVar[str] = "."  # what to do with such a model

    def refuse_others(self, arguments: Namespace, model: Path) -> None:
        """Options that another task's models have.

        Raises:
            UserError: one was given.
        """
        for name in sorted(OPTIONS - self.own_options):
            value = getattr(arguments, name, None)
            if value not in (None, False, [], ()):
                option = f"--{name.replace('_', '-')}"
                raise UserError(f"{option} has no meaning for {model}, which is {self.models}; leave it out.")


class Inspected(NamedTuple):
    """What is in a file.

    Attributes:
        content: all of it: plain values.
        lines: the same for people.
        fault: why it is no good; None: it is.
    """

    content: Mapping[str, Any]
    lines: Sequence[str]
    fault: str | None = None

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Inspected:
        """A line for each fact."""
        return cls(content, [f"{key.ljust(18)} {_text(value)}" for key, value in content.items()])


def _text(value: Any) -> Any:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value


def in_columns(head: str, entries: Sequence[Mapping[str, Any]], digits: int) -> list[str]:
    """A table of entries that have a ``name`` and figures; a whole number is shown as one."""
    names = [key for key in entries[0] if key != "name"]
    width = max(len(head), *(len(entry["name"]) for entry in entries))
    columns = max(digits + 5, *map(len, names)) + 2

    def cell(value: float) -> str:
        return f"{value:{columns}d}" if isinstance(value, int) else f"{value:{columns}.{digits}f}"

    return [
        head.ljust(width) + "".join(name.rjust(columns) for name in names),
        *(e["name"].ljust(width) + "".join(cell(e[name]) for name in names) for e in entries),
    ]


# Options that not every task's models have, by their attribute.
OPTIONS = frozenset(
    {
        *("slim", "delay", "allow_unequal_lengths", "container_max_values", "metadata"),
        *("format", "discriminators", "config"),
        *("temperature", "seed", "reference"),
    }
)

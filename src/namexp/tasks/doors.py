"""What finished models of a task are good for, on the command line.

The doors find out by ``tasks.known`` whose model it is that they were given, and let its task do the work.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from namexp.errors import UserError


class Doors(ABC):
    """A task's part in the commands. It is given a command's arguments, and says what the command prints.

    Class attributes:
        models: what a model of this task is, for people: ``a model of an amp``.
        own_options: of the commands: which options are this task's, by their attribute.
        makes: what ``synthesize`` makes: sound of files, images of noise alone, or nothing.
    """

    models: ClassVar[str]
    own_options: ClassVar[frozenset[str]]
    makes: ClassVar[Literal["sound", "images", "nothing"]] = "nothing"

    @abstractmethod
    def evaluate(self, arguments: Namespace) -> Evaluated:
        """How good a model is."""

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

    def check_inputs(self, arguments: Namespace) -> None:
        """That ``synthesize`` was given something to work on, or nothing where nothing is asked for.

        Raises:
            UserError: it was not.
        """
        if self.makes == "sound" and not arguments.inputs:
            raise UserError(
                f"{arguments.model}: is {self.models}, and nothing is given that it should play; MODEL, at "
                "least one IN and OUT_DIR are needed."
            )
        options = [
            name for name in OF_INPUTS if getattr(arguments, name, None) not in (None, False, "natural")
        ]
        given = [*map(str, arguments.inputs), *(f"--{name.replace('_', '-')}" for name in options)]
        if self.makes == "images" and given:
            raise UserError(
                f"{given[0]}: {arguments.model} is {self.models}, which makes them of noise alone: MODEL "
                "OUT_DIR --count N."
            )

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


class Evaluated(NamedTuple):
    """How good a model is.

    Attributes:
        content: the figures: plain values.
        lines: the same for people.
    """

    content: Mapping[str, Any]
    lines: Sequence[str]


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


def temperatures_of(given: str | None) -> tuple[float, ...]:
    """What ``--temperature`` says: one, or several between commas; 1 where nothing is said.

    Raises:
        UserError: one that is none.
    """
    found = []
    for text in (given or "1").split(","):
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise UserError(f"--temperature (= {text}) must be at least 0; 0.6 to 1 is usual.")
        found.append(value)
    return tuple(dict.fromkeys(found))


def add_averaging(group: Any) -> None:
    """The options of a command by which the newest checkpoints of a directory are averaged."""
    group.add_argument(
        "--average",
        type=int,
        metavar="N",
        help="the mean of the newest N checkpoints there",
    )
    group.add_argument(
        "--epsilon", type=float, metavar="E", help="its polyak weights E (1 - E)^i instead of equal ones"
    )
    group.add_argument("--normalize", action="store_true", help="divide these by their sum")


# Options of synthesize that are about its inputs, or about sound.
OF_INPUTS = ("float", "mel_scale", "match_length", "chunk_seconds", "test", "accept_untested")
# Options that not every task's models have, by their attribute.
OPTIONS = frozenset(
    {
        *("slim", "delay", "allow_unequal_lengths", "container_max_values", "metadata"),
        *("format", "discriminators", "config"),
        *("average", "epsilon", "normalize"),
        *("temperature", "seed", "count", "latent", "trim", "reference", "latents"),
    }
)

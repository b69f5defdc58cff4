"""What finished models of a task are good for, on the command line.

The doors find out by ``tasks.known`` whose model it is that they were given, and let its task do the work.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from namexp.errors import UserError


class Doors(ABC):
    """A task's part in the commands; each takes the command's arguments.

    Class attributes:
        models: what a model of this task is, for people: ``a model of an amp``.
        own_options: of ``evaluate`` and ``export``: which options are this task's, by their attribute.
    """

    models: ClassVar[str]
    own_options: ClassVar[frozenset[str]]

    @abstractmethod
    def evaluate(self, arguments: Namespace) -> None:
        """Print the figures, and write them where ``--json`` says."""

    @abstractmethod
    def export(self, arguments: Namespace) -> Path:
        """Write the file; its path."""

    @abstractmethod
    def inspect(self, arguments: Namespace) -> int:
        """Print what is in a file; the exit status."""

    @abstractmethod
    def describe(self, config: Any) -> Mapping[str, Any]:
        """What a model is by its config alone: plain values."""

    def synthesize(self, arguments: Namespace) -> None:
        """Turn mel spectrograms into sound.

        Raises:
            UserError: the model is for something else.
        """
        raise UserError(
            f"{arguments.model}: is {self.models}, which plays a recording: python -m namexp.render MODEL "
            "IN OUT."
        )

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


# Options that not every task's models have, by their attribute.
OPTIONS = frozenset(
    {"slim", "delay", "container_max_values", "metadata", "format", "discriminators", "config"}
)


def told(described: Mapping[str, Any], arguments: Namespace) -> None:
    """As JSON, or a line for each fact."""
    if arguments.json:
        print(json.dumps(described, indent=2))
        return
    for key, value in described.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, Mapping) else value
        print(f"{key.ljust(18)} {text}")

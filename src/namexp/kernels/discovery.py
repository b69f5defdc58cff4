"""Which commands may be a C++ compiler on this system, and what all of them understand.

Threads are the standard library's: no compiler needs OpenMP, which Apple's Clang lacks. GCC on Windows
is left out: it does not align wide vectors on the stack there.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

FLAGS = (
    "-std=c++17",
    "-O3",
    "-shared",
    "-ffp-contract=fast",
    "-fno-math-errno",
    "-fno-trapping-math",
)
ZIG_PACKAGE = "ziglang"  # Zig with its Clang and the libraries for it, from PyPI
# for this very processor: the second is Clang's on ARM, and a compiler that knows neither chooses safely
NATIVE = (("-march=native",), ("-mcpu=native",), ())


@dataclass(frozen=True)
class System:
    """What an operating system asks for.

    Attributes:
        suffix: of a shared library.
        flags: of every compiler.
        commands: programs that may be compilers, the best first.
    """

    suffix: str
    flags: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]


SYSTEMS = {
    "posix": System(
        ".so",
        (*FLAGS, "-fPIC", "-pthread", "-fvisibility=hidden"),
        (("g++",), ("clang++",), ("c++",), ("zig", "c++")),
    ),
    "nt": System(
        ".dll",
        FLAGS,
        (
            ("clang++",),
            ("clang-cl", "--driver-mode=g++"),
            ("zig", "c++"),
        ),  # the second then takes GCC's flags
    ),
}
SYSTEM = SYSTEMS[os.name]


def commands(path: str, system: System = SYSTEM) -> Iterator[tuple[str, ...]]:
    """The commands that are there, the best first.

    Args:
        path: where programs are, as in PATH.
        system: what they are to compile for.
    """
    for program, *arguments in system.commands:
        found = shutil.which(program, path=path)
        if found:
            yield found, *arguments
    if find_spec(ZIG_PACKAGE):
        yield sys.executable, "-m", ZIG_PACKAGE, "c++"


def names(system: System = SYSTEM) -> str:
    """What was looked for, as a sentence tells it."""
    return ", ".join([*(command[0] for command in system.commands), f"Python's {ZIG_PACKAGE}"])

"""Kernels that came compiled with the package, for users without a compiler and without patience.

A wheel for one platform holds ``shipped/INSTRUCTION_SET/NAME``, a library for each text. Its name is a digest
of the text and of the files in ``native/``: one of another version is never loaded.
"""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from pathlib import Path

import torch

from namexp.kernels.discovery import SYSTEM

NATIVE = Path(__file__).parent / "native"
SHIPPED = Path(__file__).parent / "shipped"
# by what torch says of this processor, the system's support included; the best first
INSTRUCTION_SETS = {"AVX512": ("avx512", "avx2"), "AVX2": ("avx2",)}
ARM = ("arm64", "aarch64")


def find_shipped(text: str) -> Path | None:
    """The library of ``text`` for this machine; None where the package has none."""
    for name in instruction_sets():
        library = SHIPPED / name / library_name(text)
        if library.is_file():
            return library
    return None


def instruction_sets() -> tuple[str, ...]:
    """Those that this machine can run, the best first."""
    if platform.machine().lower() in ARM:
        return ("neon",)
    return INSTRUCTION_SETS.get(torch.backends.cpu.get_cpu_capability(), ())


def library_name(text: str, suffix: str = SYSTEM.suffix) -> str:
    """What the library of ``text`` is called."""
    digest = hashlib.sha256(f"{native_digest()}{text}".encode()).hexdigest()
    return f"{digest[:32]}{suffix}"


@cache
def native_digest() -> str:
    """Of the files that all texts include."""
    digest = hashlib.sha256()
    for file in sorted(NATIVE.glob("*.hpp")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()

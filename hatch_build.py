"""Puts compiled kernels into a wheel, where NAMEXP_SHIPPED_KERNELS names their folder. Else it is for all.

``scripts/build_wheels.py`` makes such folders: INSTRUCTION_SET/LIBRARY, and the wheel's tag in ``tag.txt``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ShippedKernels(BuildHookInterface[BuilderConfig]):
    """One wheel for a platform serves every Python: the kernels know nothing of it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the libraries; the wheel gets the tag of their platform."""
        named = os.environ.get("NAMEXP_SHIPPED_KERNELS")
        if not named or version == "editable":
            return
        folder = Path(named).absolute()
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{(folder / 'tag.txt').read_text().strip()}"
        for library in sorted(folder.glob("*/*")):
            inside = library.relative_to(folder).as_posix()
            build_data["force_include"][str(library)] = f"namexp/kernels/shipped/{inside}"

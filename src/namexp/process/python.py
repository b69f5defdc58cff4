"""How a further Python is started: with the modules of this one, and none of the directory it works in."""

from __future__ import annotations

import os
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]  # where namexp lies


def python_module(name: str, *arguments: str) -> list[str]:
    """The command that runs a module. Without -P Python would look for modules in the working directory."""
    return [sys.executable, "-P", "-m", name, *arguments]


def python_environment(*, of_own_directory: bool = True) -> dict[str, str]:
    """The environment of a further Python, and of all that it starts.

    Args:
        of_own_directory: whether it imports from this process's own first directory too: the one it was
            started in (``python -m``), or that of its script.
    """
    own = 0 if of_own_directory or sys.flags.safe_path else 1
    folders = dict.fromkeys(os.path.abspath(folder) for folder in sys.path[own:])
    folders.setdefault(str(SOURCE))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(folders), "PYTHONSAFEPATH": "1"}

"""An environment with the peer, neural-amp-modeler, which never shares one with namexp."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from namexp.errors import UserError

PACKAGE, VERSION = "neural-amp-modeler", "0.13.0"

_VERSIONS = (
    "from importlib.metadata import version as v; "
    f"print(v('{PACKAGE}'), v('torch').split('+')[0])"
)  # fmt: skip


def find_peer(given: str | None) -> str:
    """The python of an environment that has the peer; made where none is given.

    Raises:
        UserError: the environment lacks it, has another version, or cannot be made.
    """
    if given is None:
        return _own_environment()
    found = _versions(given)
    if found is None:
        raise UserError(
            f"--peer-python (= {given}): is no python that has {PACKAGE} and torch; leave it out to have one "
            "made."
        )
    if found[0] != VERSION:
        raise UserError(
            f"--peer-python (= {given}): has {PACKAGE} {found[0]} and {VERSION} is compared with."
        )
    if found[1] != _torch():
        print(f"note: it has torch {found[1]} and namexp has {_torch()}", file=sys.stderr)
    return given


def _torch() -> str:
    return version("torch").split("+")[0]


def _versions(python: str) -> tuple[str, str] | None:
    """(peer, torch) of an environment; None where one is missing."""
    try:
        done = subprocess.run([python, "-c", _VERSIONS], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    peer, torch = done.stdout.split()
    return peer, torch


def _own_environment() -> str:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "namexp" / "peer" / f"{VERSION}-torch-{_torch()}"
    python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
    if _versions(python) == (VERSION, _torch()):
        print(f"the peer's environment: {folder}", file=sys.stderr)
        return python
    print(f"installing {PACKAGE} {VERSION} into an environment of its own: {folder}", file=sys.stderr)
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        packages = [f"torch=={_torch()}", f"{PACKAGE}=={VERSION}"]
        # pip's progress belongs to stderr: stdout is the table
        subprocess.run([python, "-m", "pip", "install", *packages], check=True, stdout=sys.stderr)
    except subprocess.CalledProcessError as error:
        raise UserError(
            f"{folder}: the environment could not be made ({error}); make one yourself and give its "
            "python with --peer-python."
        ) from None
    return python

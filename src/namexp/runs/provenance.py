"""Where a result comes from: versions and the state of the working tree."""

from __future__ import annotations

import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = ("namexp", "torch", "pytorch-lightning", "numpy", "auraloss", "soundfile")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that change results."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "unknown"
    return found


def git_state() -> dict[str, str | bool] | None:
    """Commit of the checkout that namexp runs from, and whether it was changed; None elsewhere."""
    source = Path(__file__).resolve().parent

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(source), *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return result.stdout.strip()

    try:
        if not git("ls-files", str(Path(__file__).resolve())):
            return None  # installed below somebody else's repository
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None

"""The rest of a sweep: the same multirun once more, in the same directory."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from namexp.errors import UserError
from namexp.reading.damage import content_of
from namexp.schema.fields import Fields
from namexp.sweeps.directory import SweepLayout, read_record


def resume(sweep: SweepLayout, overrides: Sequence[str]) -> int:
    """Start the same sweep in the same directory: each job finds what it has done already.

    Args:
        sweep: that was begun.
        overrides: of Hydra only, such as another launcher.

    Returns:
        The exit status of ``namexp.train``.

    Raises:
        UserError: there is no sweep, or the directory that it was started in is gone.
    """
    record = read_record(sweep)
    with content_of(sweep.record):
        fields = Fields(record, "")
        fields.text("cwd")
        for name in ("task", "hydra", "flags"):
            fields.raw(name)
    if not Path(record["cwd"]).is_dir():
        raise UserError(
            f"{sweep.root}: was started in {record['cwd']}, which is no more; its files may be named "
            "relative to it, so make it again or start a new sweep."
        )
    root = str(sweep.root.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    hydra = [override for override in record["hydra"] if not override.startswith("hydra.sweep.dir=")]
    for group in ("launcher", "sweeper"):
        if any(override.startswith(f"hydra/{group}=") for override in overrides):
            old = (f"hydra/{group}=", f"hydra.{group}.")  # another one has other settings
            hydra = [override for override in hydra if not override.startswith(old)]
    command = [*hydra, *overrides, f"hydra.sweep.dir='{root}'", *record["task"], "resume=auto"]
    return _run_command(["-m", *record["flags"], *command], record["cwd"])


def _run_command(arguments: list[str], cwd: str) -> int:
    """Run namexp.train and wait; Ctrl-C and SIGTERM are for it to answer."""
    process = subprocess.Popen([sys.executable, "-m", "namexp.train", *arguments], cwd=cwd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to both
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()

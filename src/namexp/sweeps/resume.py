"""The rest of a sweep: the same multirun once more, in the same directory."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from namexp.door import in_hydras_words
from namexp.errors import UserError
from namexp.process.python import python_environment, python_module
from namexp.reading.damage import content_of
from namexp.schema.fields import Fields
from namexp.sweeps.directory import SweepLayout, read_record
from namexp.sweeps.flags import flags_of


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
    root = in_hydras_words(str(sweep.root.resolve()))
    hydra = [override for override in record["hydra"] if not override.startswith("hydra.sweep.dir=")]
    for group in ("launcher", "sweeper"):
        if any(override.startswith(f"hydra/{group}=") for override in overrides):
            old = (f"hydra/{group}=", f"hydra.{group}.")  # another one has other settings
            hydra = [override for override in hydra if not override.startswith(old)]
    command = [*hydra, *overrides, f"hydra.sweep.dir={root}", *record["task"], "resume=auto"]
    flag = next((word for word in command if word.startswith("-")), None)
    if flag is not None or flags_of(record["flags"]) != record["flags"]:
        raise UserError(f"{sweep.record}: holds more than overrides ({flag or record['flags']}); restore it.")
    return _run_command(["-m", *record["flags"], *command], record["cwd"])


def _run_command(arguments: list[str], cwd: str) -> int:
    """Become namexp.train, in a directory in which it looks for no modules: the sweep may be a stranger's.

    Where a process cannot become another, run it and wait.
    """
    command, environment = (
        python_module("namexp.train", *arguments),
        python_environment(of_own_directory=False),
    )
    if os.name != "nt":
        os.chdir(cwd)
        os.execve(command[0], command, environment)
    signal.signal(signal.SIGINT, lambda *_: None)  # the terminal sends it to both
    return subprocess.run(command, cwd=cwd, env=environment, check=False).returncode

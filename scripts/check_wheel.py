"""See that an installed wheel brings its kernels, and trains by them where there is no compiler.

python scripts/check_wheel.py      # by the Python that the wheel is installed in
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import namexp
from namexp.kernels.shipped import SHIPPED, instruction_sets

STEPS = 20


def main() -> None:
    """Train some steps of the default networks."""
    found = [len(list((SHIPPED / name).glob("*"))) for name in instruction_sets()]
    print(f"namexp {namexp.__file__}: kernels for {', '.join(instruction_sets())}: {found}")
    if not all(found) or not found:
        sys.exit("this wheel brings no kernels for this machine")
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ, "PATH": "", "XDG_CACHE_HOME": str(Path(folder) / "cache"), "WANDB_MODE": "offline",
        }  # fmt: skip
        environment.pop("CXX", None)
        command = [
            sys.executable, "-m", "namexp.train", f"trainer.max_steps={STEPS}", "callbacks=quiet",
            f"hydra.run.dir={folder}/run",
        ]  # fmt: skip
        ended = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, check=False
        )
        print(ended.stdout, ended.stderr, sep="\n")
        if ended.returncode or "compiler" in ended.stdout + ended.stderr or "compiling" in ended.stdout:
            sys.exit("it does not train, or not by the kernels that it brings")
        if (Path(folder) / "cache" / "namexp").exists():
            sys.exit("it has compiled kernels, although it brings them")


if __name__ == "__main__":
    main()

"""Scripts that change a machine ask first."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "slurm_node.sh"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
@pytest.mark.parametrize("arguments", [[], ["--no"], ["--help"], ["yes"]])
def test_a_slurm_is_set_up_only_when_that_is_said(arguments: list[str]) -> None:
    done = subprocess.run(["bash", SCRIPT, *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stdout == ""
    said = done.stderr.splitlines()
    if "root" in said[-1]:  # it looks at that first
        assert said == ["slurm_node.sh: must be run as root"]
    else:
        assert said[0].startswith("WARNING: it installs packages")
        assert said[-1].startswith("slurm_node.sh: say --yes to go on")

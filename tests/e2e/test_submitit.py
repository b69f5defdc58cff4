"""A sweep on a cluster: jobs that are told to stop are queued again and continue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from namexp.engine.checkpoint import load_checkpoint
from namexp.runs.files import read_json
from namexp.sweeps.directory import SweepLayout
from namexp.tasks.capture.layout import CaptureLayout
from tests.e2e.conftest import num_rows, wait_until
from tests.e2e.test_resume import _equal, _state
from tests.e2e.test_sweep import SETTINGS

pytest.importorskip("submitit", reason="hydra-submitit-launcher is not installed")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform == "win32", reason="submitit needs POSIX signals"),
]

Run = Callable[..., subprocess.CompletedProcess[str]]


def test_a_preempted_job_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, pair: tuple[Path, Path], command: Run
) -> None:
    root = tmp_path / "sweep"
    sweep = SweepLayout(root)
    settings = [
        *SETTINGS, "model.channels=[2,4]", "trainer.max_epochs=12", "trainer.log_every_n_steps=1",
        f"data.input={pair[0]}", f"data.target={pair[1]}",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "namexp.train", "-m", "hydra/launcher=submitit_local", *settings, "seed=0,1",
         f"hydra.sweep.dir={root}"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    run = sweep.run(1)
    wait_until(lambda: num_rows(run.metrics) > 24, process)
    os.kill(read_json(run.status)["pid"], signal.SIGUSR2)  # what Slurm is asked to send before it kills
    assert process.wait(timeout=300) == 0

    logs = "".join(path.read_text() for path in (root / ".submitit").rglob("*.err"))
    assert "this job is preempted" in logs
    status = read_json(run.status)
    assert status["state"] == "done"
    assert len(status["resumed"]) == 1
    assert "resumed" not in read_json(sweep.run(0).status)
    told = (run.root / "train.log").read_text()
    before = int(told.split("going on after ")[1].split()[0])
    assert 1 <= before < 12, "it went on, it did not begin again"
    lone = CaptureLayout(tmp_path / "lone")
    whole = command("train", *settings, "seed=1", f"hydra.run.dir={lone.root}")
    assert whole.returncode == 0, whole.stderr
    _equal(_state(run), _state(lone))
    assert load_checkpoint(run.last_checkpoint)["epoch"] == 11


def test_the_config_for_slurm_is_one_that_the_launcher_takes() -> None:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from hydra_plugins.hydra_submitit_launcher.config import SlurmQueueConf

    from namexp.conf_dir import conf_dir

    GlobalHydra.instance().clear()
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        overrides = ["hydra/launcher=slurm", "hydra.launcher.partition=gpu"]
        launcher = compose("train", overrides, return_hydra_config=True).hydra.launcher
    assert set(launcher) == set(SlurmQueueConf.__dataclass_fields__)
    assert launcher.partition == "gpu"
    assert launcher.max_num_timeout == 10
    assert launcher._target_.endswith("SlurmLauncher")

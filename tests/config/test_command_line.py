"""``python -m namexp.train`` as people type it: a mistake is one line, and nothing is left behind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

WITHOUT_TORCH = """
import sys
sys.argv = ["namexp.train", *sys.argv[1:]]
from namexp.train import main
try:
    status = main()
except SystemExit as end:
    status = end.code or 0
heavy = [name for name in ("torch", "pytorch_lightning", "wandb", "matplotlib") if name in sys.modules]
assert not heavy, heavy
sys.exit(status)
"""


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WANDB_MODE": "offline"}
    environment.pop("HYDRA_FULL_ERROR", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def train(*overrides: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run("-m", "namexp.train", *overrides, cwd=cwd)


def the_line(finished: subprocess.CompletedProcess[str], below: Path) -> str:
    """The one line on stderr of a command that failed without leaving a model."""
    assert finished.returncode == 1, finished.stderr
    (line,) = [line for line in finished.stderr.splitlines() if line.strip()]
    assert "Traceback" not in finished.stdout
    assert [path for path in below.rglob("*") if path.suffix in (".nam", ".ckpt")] == []
    prefix = "namexp.train: "
    assert line.startswith(prefix)
    return line.removeprefix(prefix)


# --- quick answers --------------------------------------------------------------------------------


def test_help_is_quick_and_names_the_choices(tmp_path: Path) -> None:
    finished = run("-c", WITHOUT_TORCH, "--help", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    models = re.search(r"^model: (.*)$", finished.stdout, re.MULTILINE)
    assert models is not None
    assert {"hifigan_v1", "packed_wavenet", "packed_wavenet_small", "slimmable", "wavenet"} <= set(
        models[1].split(", ")
    )
    assert (
        "data: cifar10, images, ljspeech, ljspeech_nanoflow, ljspeech_report, normalized, raw, speech, svhn"
        in finished.stdout
    )
    assert list(tmp_path.iterdir()) == []


def test_cfg_is_quick_and_shows_the_config(tmp_path: Path) -> None:
    arguments = ["--cfg", "job", "model=wavenet", "seed=17"]
    finished = run("-c", WITHOUT_TORCH, *arguments, cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = finished.stdout.splitlines()
    assert "seed: 17" in lines
    assert "  kind: wavenet" in lines
    assert "  pre_emphasis_mrstft_weight: 0.0002" in lines
    assert list(tmp_path.iterdir()) == []


def test_a_refused_value_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    finished = run("-c", WITHOUT_TORCH, "optimizer.lr=-1", cwd=tmp_path)
    assert the_line(finished, tmp_path) == "optimizer.lr (= -1.0) must be above 0."


# --- mistakes -------------------------------------------------------------------------------------

MISTAKES = {
    "key": (
        ["trainer.max_epoch=3"],
        "trainer.max_epoch=3: 'trainer.max_epoch' is not a setting; did you mean 'trainer.max_epochs'?",
    ),
    "key of the chosen model": (
        ["model=slimmable", "model.size_samplin=all"],
        "model.size_samplin=all: 'model.size_samplin' is not a setting; did you mean 'model.size_sampling'?",
    ),
    "group": (["trainr=cpu"], "trainr=cpu: 'trainr' is not a setting; did you mean 'trainer'?"),
    "option": (
        ["model=packed_wavnet"],
        "model=packed_wavnet is not an option of model; did you mean 'packed_wavenet'?",
    ),
    "experiment": (
        ["experiment=dmo"],
        "experiment=dmo is not an option of experiment; did you mean 'demo'?",
    ),
    "type": (
        ["trainer.max_epochs=many"],
        "trainer.max_epochs (= 'many'): Value 'many' of type 'str' could not be converted to Integer",
    ),
    "added key": (
        ["+model.foo=1"],
        "model.foo (= 1) is not a known setting; known are: channels, head_scale, kind, layer_arrays, "
        "submodels, weight_init",
    ),
    "added key near another": (
        ["+model.chanels=[3]"],
        "model.chanels (= [3]) is not a known setting; did you mean 'channels'?",
    ),
    "thresholds": (
        ["export.container_max_values=[1.0,1.0]"],
        "export.container_max_values (= [1.0, 1.0]) gives the thresholds [1.0, 1.0], which must be above "
        "0 and strictly ascending up to 1.0, but 1 does not follow 1.",
    ),
    "null group": (
        ["model=null"],
        "a group cannot be null, choose one of its options: Config group override must be a string or a "
        "list. Got NoneType",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str, tmp_path: Path) -> None:
    overrides, message = MISTAKES[mistake]
    assert the_line(train(*overrides, cwd=tmp_path), tmp_path) == message


def test_an_override_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    line = the_line(train("trainer.max_epochs", cwd=tmp_path), tmp_path)
    assert line.startswith("trainer.max_epochs: cannot be read as KEY=VALUE; quote a value")


@pytest.mark.skipif(
    torch.cuda.is_available() or torch.backends.mps.is_available(), reason="this machine has a GPU"
)
def test_a_gpu_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    finished = train("trainer=gpu", "hydra.run.dir=run", cwd=tmp_path)
    line = the_line(finished, tmp_path)
    assert line == (
        "trainer.accelerator (= gpu): torch finds no GPU on this machine; use trainer=cpu, or install a "
        "build of torch for your GPU."
    )
    assert '"state": "failed"' in (tmp_path / "run" / "status.json").read_text()

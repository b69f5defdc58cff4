"""A stranger's mistakes: exit 1, one line that names the value, and nothing left behind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from namexp.audio.wav import write_wav
from tests.e2e.conftest import RATE, synthetic_pair

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(called: Run) -> Run:
    """In this process: another one would import everything anew."""
    return called


def _files(folder: Path) -> dict[str, str]:
    """Recordings with every fault, by name."""
    import soundfile

    x, y = synthetic_pair(4.0)
    recordings = {
        "x": (x, RATE), "y": (y, RATE), "other_rate": (y, 44100), "silent": (np.zeros_like(y), RATE),
        "short_x": (x[:3000], RATE), "short_y": (y[:3000], RATE),
    }  # fmt: skip
    paths = {name: folder / f"{name}.wav" for name in [*recordings, "stereo"]}
    for name, (samples, rate) in recordings.items():
        write_wav(paths[name], samples, rate)
    soundfile.write(paths["stereo"], np.stack([y, y], axis=1), RATE)
    return {name: str(path) for name, path in paths.items()} | {"nowhere": str(folder / "nowhere.wav")}


MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "misspelt key": (["model.chanels=[3,8]"], ["model.chanels=[3,8]", "did you mean 'model.channels'?"]),
    "missing file": (["data.input={x}", "data.target={nowhere}"], ["nowhere.wav: no such file"]),
    "stereo file": (["data.input={x}", "data.target={stereo}"], ["stereo.wav: has 2 channels"]),
    "rates that differ": (
        ["data.input={x}", "data.target={other_rate}"], ["44100 Hz", "16000 Hz", "other_rate.wav"],
    ),
    "silent target": (["data.input={x}", "data.target={silent}"], ["silent.wav: is silent"]),
    "short target": (
        ["data.input={short_x}", "data.target={short_y}", "data.validation_seconds=0.05"],
        ["short_y.wav: the training part has 2200 samples", "needs 9987", "receptive field"],
    ),
    "equal thresholds": (
        ["data.input={x}", "data.target={y}", "export.container_max_values=[1.0,1.0]"],
        ["export.container_max_values (= [1.0, 1.0])", "strictly ascending"],
    ),
    "no GPU": (["data.input={x}", "data.target={y}", "trainer=gpu"], ["trainer.accelerator (= gpu)"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_one_line_and_nothing_left(command: Run, tmp_path: Path, name: str) -> None:
    if name == "no GPU" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    overrides, expected = MISTAKES[name]
    files = _files(tmp_path)
    given = [override.format(**files) if override.startswith("data.") else override for override in overrides]
    failed = command("train", "model=packed_wavenet_small", "hydra.run.dir=run", *given)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr + failed.stdout
    lines = failed.stderr.strip().splitlines()
    assert len(lines) == 1, failed.stderr
    for part in expected:
        assert part in lines[0]
    assert not list(tmp_path.rglob("*.nam"))
    assert not list(tmp_path.rglob("*.ckpt"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["render", "nowhere.nam", "x.wav", "out.wav"], "nowhere.nam: no such file"),
        (["render", "linear.nam", "x.wav", "out.wav", "--slim", "0.5"], "the model has only one size"),
        (["render", "linear.nam", "other_rate.wav", "out.wav"], "44100 Hz"),
        (["evaluate", "linear.nam", "x.wav", "silent.wav"], "silent.wav: is silent"),
        (["inspect", "x.wav"], "not a JSON file"),
        (["export", "."], "not a run directory"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)  # fmt: skip
def test_tools_fail_in_one_line_too(
    command: Run, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    _files(tmp_path)
    (tmp_path / "linear.nam").write_text(
        '{"version":"0.7.0","architecture":"Linear","config":{"receptive_field":2,"bias":false},'
        '"weights":[1.0,0.5],"sample_rate":16000}'
    )
    failed = command(*arguments)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert expected in failed.stderr
    assert not (tmp_path / "out.wav").exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "data.input={x}", "data.target=none.wav"], "none.wav: no such file"),
        (["train", "data.input=none.wav", "data.target={x}"], "none.wav: no such file"),
        (["train", "data.pairs=[{{input: none.wav, target: {x}}}]"], "none.wav: no such file"),
        (["train", "init_from=none.nam"], "none.nam: no such file"),
        (["train", "model=hifigan_tiny", "data.dir=none"], "none: no such file"),
        (["evaluate", "linear.nam", "none.wav", "{x}"], "none.wav: no such file"),
        (["evaluate", "linear.nam", "{x}", "none.wav"], "none.wav: no such file"),
        (["render", "linear.nam", "none.wav", "out.wav"], "none.wav: no such file"),
        (["render", "none.nam", "{x}", "out.wav"], "none.nam: no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_file_name_is_answered_before_torch_is_imported(
    tmp_path: Path, arguments: list[str], expected: str
) -> None:
    for name in ("x.wav", "linear.nam"):
        (tmp_path / name).write_bytes(b"never read")
    command, *rest = (argument.format(x=tmp_path / "x.wav") for argument in arguments)
    code = (
        f"import sys; sys.argv[1:] = {rest!r}; from namexp.{command} import main; status = main(); "
        "sys.exit('torch is there' if 'torch' in sys.modules else status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr


def test_wrong_usage_of_a_tool_is_status_2(command: Run) -> None:
    assert command("render").returncode == 2


def test_render_and_evaluate_by_value(command: Run, tmp_path: Path) -> None:
    from namexp.audio.wav import read_wav
    from namexp.runs.files import read_json

    files = _files(tmp_path)
    (tmp_path / "linear.nam").write_text(
        '{"version":"0.7.0","architecture":"Linear","config":{"receptive_field":2,"bias":false},'
        '"weights":[1.0,0.5],"sample_rate":16000}'
    )
    assert command("render", "linear.nam", files["x"], "out.wav").returncode == 0
    x = read_wav(files["x"]).samples.astype(np.float64)
    expected = x + 0.5 * np.concatenate([[0.0], x[:-1]])
    played = read_wav(tmp_path / "out.wav")
    assert played.sample_rate == RATE
    np.testing.assert_allclose(played.samples, expected, atol=1e-6)
    # a target that is the same 7 samples later has no error at --delay 7
    later = np.concatenate([np.zeros(7), expected])[: x.size].astype(np.float32)
    write_wav(tmp_path / "later.wav", later, RATE)
    finished = command("evaluate", "linear.nam", files["x"], "later.wav", "--delay", "7", "--json", "e.json")
    assert finished.returncode == 0, finished.stderr
    (entry,) = read_json(tmp_path / "e.json")["submodels"]
    assert entry["ESR"] < 1e-12
    aligned = command("evaluate", "linear.nam", files["x"], "later.wav", "--json", "f.json")
    assert aligned.returncode == 0
    assert read_json(tmp_path / "f.json")["submodels"][0]["ESR"] > 0.1

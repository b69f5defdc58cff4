"""Hydra's flags and words in ``namexp.train``: they work, or one line says why not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.in_process import Command, commands


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    yield from commands(monkeypatch)


REFUSED = {
    "a pickle": (["--experimental-rerun", "config.pickle"], "--experimental-rerun: runs of namexp keep no"),
    "shortened": (
        ["--exp=config.pickle", "seed=1"],
        "--exp=config.pickle: runs of namexp keep no config.pickle",
    ),
    "two commands": (["--run", "--cfg", "job"], "Only one of --run, --multirun, --cfg, --info and"),
    "a sweep to show": (
        ["-m", "--cfg", "job", "seed=0,1"],
        "Only one of --run, --multirun, --cfg, --info and",
    ),
    "information": (
        ["--info", "defaults", "--cfg", "job"],
        "Only one of --run, --multirun, --cfg, --info and",
    ),
    "nothing to resolve": (["--resolve"], "The --resolve flag can only be used in conjunction with --cfg"),
    "completion": (["--shell-completion"], "Expecting one subcommand from ['install', 'uninstall', 'query']"),
    "no directory": (["--config-dir", "nowhere"], "Additional config directory"),
    "half a name": (["export.metadata.name='${'"], "export.metadata.name='${': no viable alternative"),
    "another half": (['logger.name="a${b"'], 'logger.name="a${b": no viable alternative'),
    "in Hydra's own": (["hydra.run.dir='${x'"], "hydra.run.dir='${x': no viable alternative"),
    "no such setting": (["logger.name=${nosuch}"], "logger.name: Interpolation key 'nosuch' not found"),
    "no such variable": (["logger.name=${oc.env:NO_SUCH}"], "logger.name: KeyError raised while resolving"),
    "no such resolver": (["logger.name=${nosuch:1}"], "logger.name: Unsupported interpolation type nosuch"),
    "itself": (["seed=${seed}"], "seed: Recursive interpolation detected"),
    "rival of the search": (["hydra/sweeper=optuna", "-m"], "hydra/sweeper=optuna "),
    "no run": (["resume=(what) is, 'this'?"], "resume (= (what) is, 'this'?): no such directory"),
    "neither": (["resume=[1,2]"], "resume (= [1,2]): no such directory"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_one_line(command: Command, capsys: pytest.CaptureFixture[str], case: str) -> None:
    arguments, message = REFUSED[case]
    elsewhere = [] if arguments[0].startswith("resume=") else ["hydra.run.dir=run"]
    assert command(*arguments, *elsewhere) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"namexp.train: {message}")
    assert ("\\${" in line) == ("alternative" in message), "how to write it is said where it is half"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_flags_may_stand_anywhere(
    command: Command, capsys: pytest.CaptureFixture[str], tmp_path: Path, place: int
) -> None:
    (tmp_path / "my conf" / "experiment").mkdir(parents=True)
    (tmp_path / "my conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nseed: 123\n")
    arguments = ["experiment=mine", "trainer.max_epochs=3"]
    arguments[place:place] = ["--config-dir", "my conf"]
    assert command(*arguments, "--cfg", "job") == 0
    assert "\nseed: 123\n" in f"\n{capsys.readouterr().out}"

"""SIGTERM at every stage of a command: it ends as by Ctrl-C, and status.json says the truth.

In this process: a training takes a second, starting Python for it ten.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from namexp.door import resuming
from namexp.engine import experiment
from namexp.runs.files import read_json
from namexp.runs.layout import RunLayout
from namexp.tasks.capture.loss import CaptureLoss
from namexp.tasks.capture.task import Capture
from tests.e2e.test_training import KINDS, SMALL
from tests.in_process import Command, commands

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM on Windows")]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    yield from commands(monkeypatch)


@pytest.fixture
def settings(recording: Path) -> list[str]:
    return [
        *KINDS["wavenet"], *SMALL, f"data.input={recording / 'x.wav'}", f"data.target={recording / 'y.wav'}",
        "trainer.max_epochs=2", "callbacks.progress=false", "callbacks.plots=false", "callbacks.audio=false",
        "hydra.run.dir='a run (1)'",
    ]  # fmt: skip


RUN = RunLayout(Path("a run (1)"))


def _then(function: Any) -> Any:
    """``function``, before which the process is told to stop."""

    def told(*arguments: Any, **named: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return function(*arguments, **named)

    return told


def _stop_at(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    owner, name = {
        "loading": (Capture, "load"),
        "first batch": (CaptureLoss, "values"),
        "scoring": (Capture, "score"),
        "exporting": (Capture, "export"),
        "drawing": (Capture, "show"),
        "page": (experiment, "write_run_page"),
    }[stage]
    monkeypatch.setattr(owner, name, _then(getattr(owner, name)))


EXPECTED = {  # what the status says, and whether there is a model
    "loading": ("interrupted", False),
    "first batch": ("interrupted", False),
    "scoring": ("interrupted", True),
    "exporting": ("interrupted", True),
    "drawing": ("interrupted", True),
    "page": ("done", True),
}


@pytest.mark.parametrize("stage", EXPECTED)
def test_it_ends_as_by_ctrl_c(
    command: Command, settings: list[str], monkeypatch: pytest.MonkeyPatch, stage: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        _stop_at(patch, stage)
        assert command(*settings) == 130
    state, exported = EXPECTED[stage]
    assert read_json(RUN.status)["state"] == state
    assert (RUN.root / "model.nam").exists() == exported
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == "namexp.train: interrupted"
    goes_on = "go on   python -m namexp.train 'resume=a run (1)'"
    assert (goes_on in told.out.splitlines()) == (state == "interrupted" and stage != "loading")


@pytest.mark.parametrize("name", ["a run (1)", "it's $[1] {a}, ${b}=ü\\"])
def test_what_was_stopped_goes_on_by_what_was_printed(
    command: Command, settings: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        _stop_at(patch, "first batch")
        assert command(*settings) == 130
    RUN.root.rename(name)
    run = RunLayout(Path(name))
    (run.root / ".model.nam.abcd1234").mkdir()  # as if it had been killed later
    assert command(*shlex.split(resuming(run.root)), "trainer.max_epochs=1") == 0
    status = read_json(run.status)
    assert (status["state"], len(status["resumed"])) == ("done", 1)
    assert read_json(run.summary)["epochs"] == 1
    assert not list(run.root.glob(".model*"))
    assert [path.name for path in Path().iterdir()] == [name], "nothing is written anywhere else"
    assert "going on" not in (run.root / "train.log").read_text(), "no epoch had been finished"


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("show", RuntimeError("a broken font")),
        ("show", OSError("no space left")),
        ("write_run_page", KeyError("x")),
    ],
)
def test_a_finished_training_is_not_failed_by_a_picture_or_a_page(
    command: Command, settings: list[str], monkeypatch: pytest.MonkeyPatch, what: str, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(Capture if what == "show" else experiment, what, fail)
    assert command(*settings, "trainer.max_epochs=1") == 0
    assert read_json(RUN.status)["state"] == "done"
    assert (RUN.root / "model.nam").exists()
    log = (RUN.root / "train.log").read_text()
    assert f"({type(error).__name__}: {error})" in log
    assert log.count("notice: ") == 1

"""A tracker's trouble is a line of the log."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from namexp.errors import UserError
from namexp.schema.logger import LoggerConfig
from namexp.tracking import opening
from namexp.tracking.opening import check_tracking, open_tracker
from namexp.tracking.tolerant import Tolerant
from namexp.tracking.tracker import Clip, RunDescription, Tracker

Config = Callable[..., LoggerConfig]
Describe = Callable[..., RunDescription]


class Broken(Tracker):
    """Takes nothing, each time for another reason."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(continued=True)
        self.error = error
        self.calls = 0

    def _raise(self) -> None:
        self.calls += 1
        raise self.error

    def summarise(self, values: Mapping[str, Any]) -> None:
        self._raise()

    def files(self, kind: str, paths: Sequence[Path], about: Mapping[str, Any]) -> None:
        self._raise()

    def close(self, error: BaseException | None) -> None:
        self._raise()

    def _metrics(self, values: Mapping[str, float], step: int) -> None:
        self._raise()

    def _audio(self, clips: Mapping[str, Clip], step: int) -> None:
        self._raise()

    def _pictures(self, pictures: Mapping[str, Path], step: int) -> None:
        self._raise()

    def _table(self, key: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], step: int) -> None:
        self._raise()


def _tell_everything(tracker: Tracker) -> None:
    tracker.metrics({"a": 1.0}, 7)
    tracker.audio({"a": Clip(np.zeros(3, dtype=np.float32), 8000, "a")})
    tracker.pictures({"a": Path("a.png")})
    tracker.table("a", ["b"], [[1]])
    tracker.summarise({"a": 1})
    tracker.files("model", [], {})
    tracker.close(None)


@pytest.mark.parametrize(
    "error", [PermissionError("no\nspace"), RuntimeError("a"), ValueError("b")], ids=repr
)
def test_of_each_kind_one_line_is_said(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken(error)
    tracker = Tolerant(broken)
    for _ in range(2):
        _tell_everything(tracker)
    assert (broken.calls, tracker.last_step, tracker.continued, tracker.active) == (14, 7, True, True)
    kinds = ("metrics", "sound", "pictures", "table", "facts", "files of the model", "end")
    said = " ".join(str(error).split())
    assert caplog.messages == [
        f"notice: Broken does not take the {kind} ({type(error).__name__}: {said}); all of it lies in the "
        "run directory"
        for kind in kinds
    ]


def test_ctrl_c_is_no_trouble_of_a_tracker() -> None:
    with pytest.raises(KeyboardInterrupt):
        Tolerant(Broken(KeyboardInterrupt())).metrics({"a": 1.0}, 1)


@pytest.mark.parametrize("kind", ["wandb", "tensorboard"])
def test_a_library_that_is_missing_is_named_with_its_command(
    logger_config: Config, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(opening, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"is not installed; pip install .*, or use logger=csv"):
        check_tracking(logger_config(kind))


@pytest.mark.usefixtures("wandb_at_home")
def test_wandb_works_where_nothing_but_the_run_directory_can_be_written(
    logger_config: Config, description: Describe, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.WARNING)
    names = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")
    for name in names:
        monkeypatch.delenv(name)
    (tmp_path / "file").write_text("no folder")
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "file"))
    about = description("first")
    nam = tmp_path / "model.nam"
    nam.write_text("{}")
    with open_tracker(logger_config("wandb"), about) as tracker:
        folders = [Path(os.environ[name]) for name in names]
        tracker.files("model", [nam], {})
    assert [folder.parents[1] for folder in folders] == [about.layout.root, about.layout.root]
    assert not any(name in os.environ for name in names), "the next run has its own"
    assert not [line for line in caplog.messages if "does not take" in line]
    assert any(path.is_file() for path in folders[0].rglob("*")), "the artifact was staged there"

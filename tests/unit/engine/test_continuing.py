"""Whether what resume=auto asks for is done already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from namexp.conf_dir import conf_dir
from namexp.engine.continuing import is_as_asked
from namexp.errors import UserError
from namexp.runs.files import write_json
from namexp.runs.layout import RunLayout
from namexp.schema.experiment import resolved_config
from namexp.tasks.capture.config.whole import CaptureConfig


def _config(*overrides: str) -> dict[str, Any]:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        return resolved_config(
            compose("train", ["trainer.max_epochs=7", "trainer.max_steps=50", *overrides]), CaptureConfig
        )


def _run(root: Path, state: str = "done") -> RunLayout:
    run = RunLayout(root)
    OmegaConf.save(OmegaConf.create(_config()), run.config)
    write_json(run.status, {"state": state})
    return run


@pytest.mark.parametrize(
    ("asked", "done"),
    [
        ([], True),
        (["trainer.max_epochs=3"], True),
        (["trainer.max_epochs=8"], False),
        (["trainer.max_steps=49"], True),
        (["trainer.max_steps=51"], False),
        (["trainer.max_steps=null"], False),  # no limit is more than any
        (["callbacks.patience=3", "logger=none", "export.container_max_values=compute"], True),
        (["data.input=x.wav", "data.target=y.wav"], False),  # perhaps others: to be looked into
    ],
)
def test_less_is_done_and_more_is_not(tmp_path: Path, asked: list[str], done: bool) -> None:
    assert is_as_asked(_run(tmp_path), _config(*asked), CaptureConfig) is done


@pytest.mark.parametrize("state", ["running", "failed", "interrupted"])
def test_what_has_not_ended_well_is_not_done(tmp_path: Path, state: str) -> None:
    assert is_as_asked(_run(tmp_path, state), _config(), CaptureConfig) is False


def test_nothing_begun_is_not_done(tmp_path: Path) -> None:
    assert is_as_asked(RunLayout(tmp_path), _config(), CaptureConfig) is False


@pytest.mark.parametrize(
    ("asked", "place"),
    [("seed=1", "seed"), ("model.channels=[2,8]", r"model\.channels"), ("init_from=a.nam", "init_from")],
)
def test_another_training_is_refused_by_name(tmp_path: Path, asked: str, place: str) -> None:
    with pytest.raises(UserError, match=rf"holds another training \(they differ in {place}\)"):
        is_as_asked(_run(tmp_path), _config(asked), CaptureConfig)

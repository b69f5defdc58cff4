"""What a sweep promises, held against what Hydra's own sweeper makes of it."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import yaml
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from namexp.planned_jobs import BASIC_SWEEPER, planned_jobs


def sweep(folder: Path, task: list[str], params: object = None, target: str = BASIC_SWEEPER) -> Path:
    hydra = {"sweeper": {"_target_": target, "params": params}, "overrides": {"task": task}}
    (folder / "multirun.yaml").write_text(yaml.safe_dump({"hydra": hydra}))
    return folder


@pytest.mark.parametrize(
    "task",
    [
        ["model=wavenet"],
        ["seed=0,1,2", "model.channels=[2,5],[3,8]", "callbacks.progress=false"],
        ["seed=range(0,3)", "optimizer.lr=choice(1e-3,0.01)", "model.channels='[1,2]','[3]'"],
        ["seed=1,2", "seed=5"],
        ["+a.b={x:1,y:2},{x:3}", "~logger.tags", "data.input='my song, take 2.wav'"],
    ],
)
def test_it_is_what_hydra_does(tmp_path: Path, task: list[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(task)
    (batch,) = BasicSweeper.split_arguments(parsed, None)
    assert planned_jobs(sweep(tmp_path, task)) == [tuple(job) for job in batch]


def test_choices_of_the_sweeper_come_first(tmp_path: Path) -> None:
    found = planned_jobs(sweep(tmp_path, ["seed=0,1"], {"model.channels": "[2,5],[3,8]"}))
    expected = itertools.product(("model.channels=[2,5]", "model.channels=[3,8]"), ("seed=0", "seed=1"))
    assert found == list(expected)


def test_where_nobody_knows(tmp_path: Path) -> None:
    assert planned_jobs(tmp_path) is None
    optuna = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
    assert planned_jobs(sweep(tmp_path, ["seed=0,1"], target=optuna)) is None
    assert planned_jobs(sweep(tmp_path, ["a=[unclosed"])) is None
    for damaged in ("", "hydra: 3", "- 1", "hydra: {sweeper: {}}", "\t:"):
        (tmp_path / "multirun.yaml").write_text(damaged)
        assert planned_jobs(tmp_path) is None

"""What has become of the jobs of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_dir

from namexp.conf_dir import conf_dir
from namexp.errors import UserError
from namexp.runs.entry import entered
from namexp.runs.files import write_json
from namexp.sweeps.directory import SweepLayout, job_table, read_jobs
from namexp.sweeps.record import expand


@pytest.fixture
def sweep(tmp_path: Path) -> SweepLayout:
    layout = SweepLayout(tmp_path)
    jobs = [{"overrides": ["model=wavenet", f"seed={i}"]} for i in range(6)]
    write_json(layout.record, {"task": [], "hydra": [], "cwd": ".", "space": None, "jobs": jobs})
    return layout


def _status(sweep: SweepLayout, number: int, state: str, **more: Any) -> None:
    write_json(sweep.run(number).status, {"state": state, "error": None, **more})


def test_every_state(sweep: SweepLayout) -> None:
    _status(sweep, 0, "done")
    write_json(sweep.run(0).summary, {"reused_from": "../1", "submodels": [{"ESR": 0.25}, {"ESR": None}]})
    _status(sweep, 1, "failed", error="UserError: nothing to hear")
    _status(sweep, 2, "interrupted")
    _status(sweep, 3, "running")  # and nobody there
    with entered(sweep.run(4)):
        jobs = read_jobs(sweep)
    assert [job.state for job in jobs] == ["done", "failed", "interrupted", "cut off", "running", "missing"]
    assert jobs[0].figures == (0.25, None)
    assert job_table(jobs).splitlines() == [
        "job  state        ESR       overrides",
        "---  -----------  --------  ---------",
        "0    done (as 1)  0.2500 -  seed=0",
        "1    failed                 seed=1",
        "2    interrupted            seed=2",
        "3    cut off                seed=3",
        "4    running                seed=4",
        "5    missing                seed=5",
        "job 1 failed: UserError: nothing to hear",
        "job 3 cut off: its process ended without a word",
        "1 done, 1 running, 1 failed, 1 interrupted, 1 cut off, 1 missing",
    ]


def test_the_headline_of_a_run_is_what_its_summary_says(sweep: SweepLayout) -> None:
    _status(sweep, 0, "done")
    metrics = [{"name": "LL", "better": "higher", "scale": "plain"}, {"name": "ESR"}]
    entry = {"ESR": 0.25, "LL": -1.5}
    write_json(sweep.run(0).summary, {"reused_from": None, "metrics": metrics, "submodels": [entry]})
    assert job_table(read_jobs(sweep)).splitlines()[:3] == [
        "job  state    LL       overrides",
        "---  -------  -------  ---------",
        "0    done     -1.5000  seed=0",
    ]


def test_damage_costs_only_its_own_row(sweep: SweepLayout) -> None:
    for number in range(6):
        _status(sweep, number, "done")
        write_json(sweep.run(number).summary, {"submodels": [{"ESR": 0.5}]})
    sweep.run(1).status.write_text("{")
    sweep.run(2).summary.write_text("[]")
    write_json(sweep.run(3).summary, {"submodels": {"ESR": 1}, "reused_from": 3, "metrics": [{"name": 1}]})
    write_json(sweep.run(4).summary, {"submodels": [{"MSE": 1}, 5]})
    write_json(sweep.run(5).status, {"state": ["done"]})
    jobs = read_jobs(sweep)
    states = ["done", "unknown", "unknown", "done", "done", "unknown"]
    assert [job.state for job in jobs] == states
    assert [job.figures for job in jobs] == [(0.5,), (), (), (), (None,), (0.5,)]
    lines = job_table(jobs).splitlines()
    assert lines[2] == "0    done     0.5000  seed=0"
    assert lines[-3].startswith("job 1 unknown: ")
    assert "not JSON" in lines[-3]
    assert lines[-1] == "3 done, 3 unknown"


def test_the_headline_is_known_before_there_is_a_figure(sweep: SweepLayout) -> None:
    _status(sweep, 0, "failed", error="UserError: no", metrics=[{"name": "LL", "better": "higher"}])
    assert job_table(read_jobs(sweep)).splitlines()[0].split() == ["job", "state", "LL", "overrides"]


def test_a_directory_without_a_record_is_no_sweep(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no sweep\.json, so it is not a sweep directory"):
        read_jobs(SweepLayout(tmp_path))


def test_a_glob_stands_for_the_options_of_a_group() -> None:
    with initialize_config_dir(conf_dir(), version_base="1.3"):
        jobs = expand(["model=glob(wavenet_*)", "seed=1"])
    assert jobs == [[f"model=wavenet_{name}", "seed=1"] for name in ("feather", "lite", "nano")]


def test_jobs_are_numbered_as_hydra_numbers_them() -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    overrides = [
        "model=wavenet,slimmable", "seed=range(0,3)", "+x='a,b'", "data.input='a b.wav','c=d.wav'",
        "export.container_max_values=uniform,[0.25,1.0]", "optimizer.lr=0.1", "seed=choice(4,5)",
        "~callbacks",
    ]  # fmt: skip
    parsed = OverridesParser.create().parse_overrides(overrides)
    (expected,) = BasicSweeper.split_arguments(parsed, None)
    assert expand(overrides) == expected
    assert len(expected) == 2 * 2 * 2 * 2

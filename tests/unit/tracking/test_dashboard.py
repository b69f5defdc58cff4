"""Which runs a dashboard shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from namexp.errors import UserError
from namexp.runs.files import write_json, write_text
from namexp.tracking.dashboard import Runs, build_workspace, packed_suffixes, runs_in, specification


def _run(path: Path, submodels: int, group: str = "null") -> Path:
    entries = [{"metric_suffix": suffix, "macs_per_sample": 76} for suffix in packed_suffixes(submodels)]
    write_json(path / "summary.json", {"submodels": entries})
    write_text(path / "config.yaml", f"logger: {{project: amps, entity: me, group: {group}}}\n")
    return path


def test_a_sweep_has_the_submodels_of_its_largest_job(tmp_path: Path) -> None:
    sweep = tmp_path / "plexi"
    for job, submodels in (("2", 1), ("10", 3), ("1", 2)):
        _run(sweep / job, submodels)
    (sweep / "multirun.yaml").write_text("hydra: {overrides: {task: []}}\n")
    (sweep / "3").mkdir()  # a job that failed before it had anything
    expected = ("_packed_0", "_packed_1", "_packed_2")
    assert runs_in(sweep) == Runs("amps", "me", "plexi", expected)
    assert runs_in(sweep / "2") == Runs("amps", "me", "plexi", ("_packed_0",))


def test_a_single_run_has_no_group_but_its_own(tmp_path: Path) -> None:
    assert runs_in(_run(tmp_path / "a", 1)).group is None
    assert runs_in(_run(tmp_path / "b", 1, "mine")).group == "mine"
    workspace = build_workspace(entity="me", project="amps", group=None, suffixes=[""])
    (runs,) = specification(workspace)["spec"]["section"]["runSets"]
    assert runs["filters"]["filters"] == []


def test_runs_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    _run(tmp_path / "sweep" / "0", 2, "one")
    _run(tmp_path / "sweep" / "1", 2, "two")
    with pytest.raises(UserError, match=r"several names .*group='one'.*group='two'.*; give --project"):
        runs_in(tmp_path / "sweep")


def test_what_is_drawn_is_what_the_runs_declare(tmp_path: Path) -> None:
    run = _run(tmp_path / "a", 1)
    metrics = [{"name": "LL", "better": "higher", "scale": "plain"}, {"name": "bits"}]
    write_json(run / "summary.json", {"metrics": metrics, "submodels": [{"metric_suffix": ""}]})
    runs = runs_in(run)
    assert [metric.name for metric in runs.metrics] == ["LL", "bits"]
    assert (runs.suffixes, runs.costs) == (("",), False)
    workspace = build_workspace(
        entity="me", project="p", group=None, suffixes=[""], metrics=runs.metrics, costs=runs.costs
    )
    text = json.dumps(specification(workspace))
    assert '"LL"' in text
    assert '"bits"' in text
    assert "ESR" not in text
    assert "macs_per_sample" not in text


def test_runs_that_learned_different_things_have_no_dashboard_together(tmp_path: Path) -> None:
    _run(tmp_path / "0", 1)
    other = _run(tmp_path / "1", 1)
    write_json(other / "summary.json", {"metrics": [{"name": "LL"}], "submodels": [{"metric_suffix": ""}]})
    with pytest.raises(UserError, match="learned different things"):
        runs_in(tmp_path)

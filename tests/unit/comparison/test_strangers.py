"""One damaged run costs its own row, never the page and never the table of a sweep."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namexp.comparison import collect as collecting
from namexp.comparison.collect import collect
from namexp.comparison.page import write_report
from namexp.errors import UserError
from namexp.runs.files import read_json, write_json
from namexp.runs.states import DONE, UNKNOWN
from namexp.sweeps.directory import SweepLayout, read_jobs, read_record
from namexp.sweeps.origin import logged_as, origin_of
from tests.synthetic_runs import write_run


def _summary(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        content = json.loads((run / "summary.json").read_text())
        change(content)
        (run / "summary.json").write_text(json.dumps(content))

    return damage


def _file(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        (run / name).write_bytes(content)

    return damage


def _pipe(run: Path) -> None:
    for name in ("metrics.csv", "config.yaml"):
        (run / name).unlink()
        os.mkfifo(run / name)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "an ESR beyond all floats": _summary(lambda s: s["submodels"][0].update(ESR=10**400)),
    "a seed beyond all floats": _summary(lambda s: s.update(seed=10**400)),
    "thresholds beyond all floats": _summary(lambda s: s.update(max_values=[10**400, 1.0])),
    "a name that is no text": _summary(lambda s: s["submodels"][0].update(name="\ud800")),
    "clips beyond all floats": _summary(lambda s: s.update(clips=[{"name": "a", "gain_db": 10**400}])),
    "5000 digits": _file("summary.json", b'{"seed": ' + b"7" * 5000 + b"}"),
    "200,000 brackets": _file("summary.json", b"[" * 200_000),
    "no UTF-8": _file("status.json", b'{"state": "\xff"}'),
    "a field of 200,000 characters": _file("metrics.csv", b"epoch,step\n0," + b"x" * 200_000 + b"\n"),
    "metrics without UTF-8": _file("metrics.csv", b"epoch,step\n\xff\xfe,1\n"),
    "a bomb": _file("config.yaml", b"a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"),
    "a config without an end": _file("config.yaml", b"a: " + b"{a: " * 5000),
    "an integer in the config": _file("config.yaml", b"seed: 1" + b"0" * 400 + b"\n"),
    "overrides": _file(".hydra/overrides.yaml", b"- ${oc.env:HOME}\n- [1, 2]\n"),
    "pipes": _pipe,
}


@pytest.mark.parametrize("name", DAMAGES)
def test_one_damaged_run_costs_its_own_row(tmp_path: Path, name: str) -> None:
    for run in ("fine", "hurt"):
        write_run(tmp_path / "sweep" / run)
    DAMAGES[name](tmp_path / "sweep" / "hurt")
    page = write_report([tmp_path / "sweep"], tmp_path / "page")
    runs = {run["label"]: run for run in read_json(page.parent / "report.json")["runs"]}
    assert set(runs) == {"fine", "hurt"}
    fine = runs["fine"]
    assert (fine["state"], [s["esr"] for s in fine["submodels"]]) == (DONE, [0.1, 0.02])
    assert all("\n" not in line for line in runs["hurt"]["damages"])
    assert "hunter2" not in page.read_text(encoding="utf-8")


def test_what_nobody_foresaw_costs_a_row_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run in ("fine", "hurt"):
        write_run(tmp_path / run)
    read_run = collecting.read_run

    def failing(root: Path, label: str) -> Any:
        if label == "hurt":
            raise ZeroDivisionError("by nothing")
        return read_run(root, label)

    monkeypatch.setattr(collecting, "read_run", failing)
    fine, hurt = collect([tmp_path])
    assert (fine.state, hurt.state) == (DONE, UNKNOWN)
    assert hurt.reason == "cannot be read: ZeroDivisionError: by nothing"


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_directory_whose_name_is_no_text(tmp_path: Path) -> None:
    write_run(tmp_path / "sweep" / os.fsdecode(b"caf\xe9"))
    page = write_report([tmp_path / "sweep"], tmp_path / "page")
    (run,) = read_json(page.parent / "report.json")["runs"]
    assert (run["label"], run["state"]) == ("caf\\udce9", DONE)


def test_what_is_written_can_be_read_again_whatever_an_error_says(tmp_path: Path) -> None:
    write_json(tmp_path / "status.json", {"error": "caf\udce9: no such file", "caf\udce9": ["\ud800"]})
    assert read_json(tmp_path / "status.json") == {
        "error": "caf\\udce9: no such file",
        "caf\\udce9": ["\\ud800"],
    }


# --- sweeps -----------------------------------------------------------------------------------------

RECORD = {
    "task": [], "hydra": [], "flags": [], "cwd": "/", "space": None,
    "jobs": [{"overrides": ["seed=0"]}, {"overrides": ["seed=1"]}],
}  # fmt: skip


def test_a_damaged_job_costs_its_own_row(tmp_path: Path) -> None:
    write_json(tmp_path / "sweep.json", RECORD)
    for job in range(2):
        write_run(tmp_path / str(job), seed=job)
    summary = json.loads((tmp_path / "1" / "summary.json").read_text())
    summary["submodels"][0]["ESR"] = 10**400
    (tmp_path / "1" / "summary.json").write_text(json.dumps(summary))
    jobs = read_jobs(SweepLayout(tmp_path))
    assert [job.figures for job in jobs] == [(0.1, 0.02), (None, 0.02)]
    (tmp_path / "1" / "summary.json").write_bytes(b'{"a": "\xff"}')
    assert [job.state for job in read_jobs(SweepLayout(tmp_path))] == [DONE, UNKNOWN]


@pytest.mark.parametrize(
    "change",
    [
        {"jobs": 5}, {"jobs": [5]}, {"jobs": [{}]}, {"jobs": [{"overrides": "seed=0"}]},
        {"jobs": [{"overrides": [5]}]}, {"jobs": None}, {"flags": 5}, {"task": {"a": 1}}, {"space": 7},
    ],
)  # fmt: skip
def test_a_damaged_record_of_a_sweep_is_one_line(tmp_path: Path, change: dict[str, Any]) -> None:
    write_json(tmp_path / "sweep.json", {**RECORD, **change})
    with pytest.raises(UserError, match=r"sweep\.json: ") as caught:
        read_record(SweepLayout(tmp_path))
    assert "\n" not in str(caught.value)


def test_what_lies_around_a_run_is_literal_and_guarded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    run = tmp_path / "sweep" / "0"
    (run / ".hydra").mkdir(parents=True)
    (tmp_path / "sweep" / "multirun.yaml").write_text("hydra: {overrides: {task: ['seed=0,1']}}\n")
    (run / ".hydra" / "overrides.yaml").write_text("- seed=0\n- data.input=${oc.env:SECRET}\n")
    assert origin_of(run).choices == ("seed=0", "data.input=${oc.env:SECRET}")
    (run / "config.yaml").write_text("logger: {project: '${oc.env:SECRET}', entity: [1], group: 5}\n")
    logged = logged_as(run)
    assert (logged.project, logged.entity, logged.group) == ("${oc.env:SECRET}", None, "sweep")
    (tmp_path / "sweep" / "multirun.yaml").write_text("hydra: {overrides: {task: ['((']}}\n")
    with pytest.raises(UserError, match=r"multirun\.yaml: "):
        origin_of(run)

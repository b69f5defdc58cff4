"""Logs of other programs beside runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from namexp.comparison.collect import collect
from namexp.comparison.foreign import read_log
from namexp.comparison.page import write_report
from namexp.errors import UserError
from tests.unit.comparison.vocoders import write_vocoder

HEAD = "epoch,t,total_loss,loss_gen1,loss_gen2,loss_disc1,loss_disc2,loss_mel,loss_fm1,loss_fm2,val_loss_mel"
ROW = "{},2023-12-04 03:{:02d}:00,60.0,4.0,2.0,1.5,0.5,0.8,3.0,2.0,0.9"


def write_log(path: Path, rows: int = 3, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *(ROW.format(i + 1, i) for i in range(rows))]) + "\n")
    return path


def test_its_columns_get_our_names(tmp_path: Path) -> None:
    run = read_log(write_log(tmp_path / "log.csv"), "log")
    (losses,) = run.tables
    assert losses.rows == {
        "Mel loss (L1)": (0.8, 0.9),
        "Generator against MPD": (4.0, None), "Generator against MSD": (2.0, None),
        "Feature matching, MPD": (3.0, None), "Feature matching, MSD": (2.0, None),
        "Total": (58.0, None),  # without the discriminators' 1.5 + 0.5
    }  # fmt: skip
    lines = {figure.title: figure.lines for figure in run.figures}
    assert lines["Total loss of the discriminators"]["train"] == ((1, 2), (2, 2), (3, 2))
    assert (run.epochs, run.seconds_training, run.state) == (3, 180.0, "log")


def test_the_whole_log(golden: Path) -> None:
    run = read_log(golden / "vocoder" / "seed004_run_epochs.csv", "log")
    means, losses = run.tables
    assert means.epoch == 300
    assert means.rows["MPD on real"] == (1.000008, 1.000032)
    assert losses.rows["Mel loss (L1)"] == (0.2042778, 0.2039439)
    assert losses.rows["Total"][0] == pytest.approx(34.76657 - 3.196981e-05 - 9.026303e-09)
    assert run.seconds_training == pytest.approx(14 * 3600 + 13 * 60, abs=30)
    assert len(run.figures) == 12, "all but the learning rate"


def test_it_stands_beside_runs_and_is_not_ranked(tmp_path: Path) -> None:
    root, log = write_vocoder(tmp_path / "run", clips=True), write_log(tmp_path / "log.csv")
    assert [run.label for run in collect([root, log])] == ["run", "log.csv"]
    assert write_report([log, root]) == root / "report.html", "the first directory among the paths"
    report = json.loads((root / "report.json").read_text())
    assert report["counts"] == {"log": 1, "done": 1}
    assert report["headline"] == "mel_error"
    assert report["front"] == [[1, 0]]
    assert report["runs"][0]["submodels"] == []
    assert [table["title"] for table in report["runs"][0]["tables"]] == ["Losses of the generator"]
    assert report["runs"][1]["diagnosis"][0]["level"] == "fine"


def test_two_logs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        paths.append(write_log(tmp_path / name / "log.csv"))
    assert [run.label for run in collect(paths)] == [path.as_posix() for path in paths]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"epoch\n1\n", b"\xff\xfe\x00", b"epoch,loss_mel\n"])
def test_what_is_no_log_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        collect([path])
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)

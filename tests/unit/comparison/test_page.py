"""The three files: what they say, and that they stay small."""

from __future__ import annotations

import csv
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

import namexp.comparison.page as page
from namexp.audio.wav import read_wav, write_flac
from namexp.comparison.budget import PAGE_BYTES
from namexp.comparison.page import write_report, write_run_page
from namexp.errors import UserError
from namexp.runs.layout import RunLayout
from tests.synthetic_runs import RATE, write_run, write_sweep


def data_of(path: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', path.read_text(), re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_files_agree(tmp_path: Path) -> None:
    write_run(tmp_path / "0", channels=(2, 5), esr=(0.5, 0.25))
    write_run(tmp_path / "1", channels=(3, 8), esr=(0.6, 0.125))
    write_run(tmp_path / "2", state="failed", error="UserError: no")
    assert write_report([tmp_path]) == tmp_path / "report.html"
    figures = json.loads((tmp_path / "report.json").read_text())
    assert figures["counts"] == {"done": 2, "failed": 1}
    assert figures["front"] == [[0, 0], [0, 1], [1, 1]]  # (0.6, 3 channels) is dearer than 2 and worse
    assert figures["runs"][1]["submodels"][1]["esr_db"] == pytest.approx(-9.0309, abs=1e-4)
    rows = list(csv.DictReader((tmp_path / "report.csv").read_text().splitlines()))
    assert [(r["label"], r["submodel_esr"], r["submodel_pareto"]) for r in rows] == [
        ("0", "0.5", "True"), ("0", "0.25", "True"), ("1", "0.6", "False"), ("1", "0.125", "True"),
        ("2", "", ""),
    ]  # fmt: skip
    assert rows[4]["reason"] == "UserError: no"
    assert rows[2]["model.channels"] == "[3, 8]"
    assert data_of(tmp_path / "report.html")["runs"] == figures["runs"]


def test_another_directory_and_the_same_report_twice(tmp_path: Path) -> None:
    write_run(tmp_path / "sweep" / "0", audio=True)
    write_run(tmp_path / "sweep" / "1", audio=True, esr=(0.9, 0.9))
    written = write_report([tmp_path / "sweep"], tmp_path / "out")
    names = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*"))
    # run 1 is not on the front: its sound lies beside the page, also its prediction (it is not below)
    assert names == [
        "report.csv", "report.html", "report.json",
        *(f"report_files/run0001_{i}_{what}.flac" for i in (0, 1) for what in ("difference", "prediction")),
        *(n for n in names if "target_" in n),
    ]  # fmt: skip
    (tmp_path / "out" / "report_files" / "run0009_0_difference.flac").touch()  # of an earlier report
    write_report([tmp_path / "sweep"], tmp_path / "out")
    again = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*"))
    assert again == names
    assert data_of(written)["media"]["1"]["0"]["clips"]["prediction"] == {
        "href": "report_files/run0001_0_prediction.flac"
    }


def test_sound_that_lies_below_the_page_is_not_copied(tmp_path: Path) -> None:
    write_run(tmp_path / "0", audio=True)
    write_run(tmp_path / "1", audio=True, esr=(0.9, 0.9))
    clips = data_of(write_report([tmp_path]))["media"]["1"]["1"]["clips"]
    assert clips["target"] == {"href": "1/audio/target.flac"}
    assert clips["prediction"] == {"href": "1/audio/prediction_1.flac"}
    difference = read_wav(tmp_path / clips["difference"]["href"]).samples
    run = RunLayout(tmp_path / "1")
    expected = read_wav(run.audio_prediction(1)).samples - read_wav(run.audio_target).samples
    assert abs(difference - expected).max() <= 2**-15
    assert len(list((tmp_path / "report_files").iterdir())) == 2


def test_the_page_of_one_run_holds_its_sound(tmp_path: Path) -> None:
    write_run(tmp_path / "run", audio=True)
    write_run_page(tmp_path / "run")
    clips = data_of(tmp_path / "run" / "report.html")["media"]["0"]
    assert all("blob" in clip for size in clips.values() for clip in size["clips"].values())
    assert not (tmp_path / "run" / "report_files").exists()
    assert not (tmp_path / "run" / "report.csv").exists()


def test_a_difference_that_would_clip_is_turned_down(tmp_path: Path) -> None:
    write_run(tmp_path / "run", audio=True)
    target = read_wav(RunLayout(tmp_path / "run").audio_target).samples
    write_flac(RunLayout(tmp_path / "run").audio_target, target / abs(target).max(), RATE)
    write_flac(RunLayout(tmp_path / "run").audio_prediction(0), -target / abs(target).max(), RATE)
    write_run_page(tmp_path / "run")
    clips = data_of(tmp_path / "run" / "report.html")["media"]["0"]["0"]["clips"]
    assert clips["difference"]["gain_db"] == -6.0  # twice full scale


def test_what_runs_say_cannot_become_markup(tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script>"
    write_run(tmp_path / "x", state="failed", error=nasty, settings={"data.name": nasty})
    text = write_report([tmp_path]).read_text()
    assert "<script>alert" not in text
    assert data_of(tmp_path / "report.html")["runs"][0]["reason"] == nasty
    assert html.escape(tmp_path.name) in text


def test_nothing_comes_from_the_network(tmp_path: Path) -> None:
    write_run(tmp_path / "x")
    text = write_report([tmp_path]).read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|<link[^>]+stylesheet|src=\"(?!data:)", text)


def test_five_hundred_runs_stay_within_the_budget(tmp_path: Path) -> None:
    write_sweep(tmp_path, 500, audio=12)
    written = write_report([tmp_path])
    assert written.stat().st_size < PAGE_BYTES
    data = data_of(written)
    assert len(data["runs"]) == 500
    assert data["counts"] == {"done": 479, "failed": 20, "interrupted": 1}
    assert len(data["curves"]) == 480, "there is room for every curve"
    assert len(data["media"]) == 11  # of the first twelve one was interrupted


def test_what_does_not_fit_is_left_out_of_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        write_run(tmp_path / str(i), esr=(0.5 - i / 100, 0.2 - i / 100), audio=True, settings={"a.b": i})
    full = write_report([tmp_path]).stat().st_size
    monkeypatch.setattr(page, "AUDIO_RESERVE", 0)
    monkeypatch.setattr(page, "MARGIN", 1000)
    limit = full - 200_000
    monkeypatch.setattr(page, "PAGE_BYTES", limit)
    written = write_report([tmp_path])
    assert written.stat().st_size <= limit
    media = data_of(written)["media"]
    assert media["5"]["1"]["excerpts"] is not None, "the best keeps its drawings"
    played = [clip for run in media.values() for size in run.values() for clip in size["clips"].values()]
    assert len(played) == 36
    for clip in played:
        assert "blob" in clip or (tmp_path / clip["href"]).exists(), "what is not inside lies beside"


def test_too_many_runs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "x")
    monkeypatch.setattr(page, "PAGE_BYTES", 110_000)
    with pytest.raises(UserError, match="1 runs make a page of 0 MB without any sound"):
        write_report([tmp_path])


def test_damaged_sound_is_named(tmp_path: Path) -> None:
    write_run(tmp_path / "x", audio=True)
    RunLayout(tmp_path / "x").audio_prediction(0).write_bytes(b"fLaC")
    data = data_of(write_report([tmp_path]))
    assert "prediction_0.flac" in data["runs"][0]["damages"][0]
    assert list(data["media"]["0"]) == ["1"]

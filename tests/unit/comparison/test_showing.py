"""Clips that runs declare: into the page, beside it, and never from outside the run."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest

from namexp.comparison.page import write_report, write_run_page
from tests.unit.comparison.test_page import data_of
from tests.unit.comparison.vocoders import write_clips, write_vocoder


def test_the_page_of_one_run_holds_its_clips(tmp_path: Path) -> None:
    root = write_vocoder(tmp_path / "run", clips=True)
    written = write_run_page(root)
    worst, median = data_of(written)["clips"]["0"]
    assert (worst["why"], worst["name"], median["why"]) == ("worst by mel_error", "LJ-007", "median")
    assert worst["figures"] == {"mel_error": 0.5, "gain_db": -0.9, "correlation": 0.1}
    assert all("blob" in clip[key] for clip in (worst, median) for key in ("target", "generated", "picture"))
    held = re.search(rf'id="{worst["picture"]["blob"]}">([^<]*)<', written.read_text())
    assert held is not None
    assert base64.b64decode(held[1]) == (root / "pictures" / "LJ-007.png").read_bytes()
    assert data_of(written)["words"] == [
        {
            "target": "Recording", "prediction": "Prediction", "difference": "Difference",
            "generated": "Generated", "ratio": "error/signal", "no_sound": "No clips were kept.",
        }
    ]  # fmt: skip


def test_clips_of_runs_off_the_front_stay_files(tmp_path: Path) -> None:
    write_vocoder(tmp_path / "sweep" / "0", mel_error=0.4, clips=True)
    write_vocoder(tmp_path / "sweep" / "1", mel_error=0.5, seed=1, clips=True)
    inside, beside = (data_of(write_report([tmp_path / "sweep"]))["clips"][i][0] for i in ("0", "1"))
    assert "blob" in inside["target"]
    assert beside["target"] == {"href": "1/audio/LJ-007-target.flac"}
    assert beside["picture"] == {"href": "1/pictures/LJ-007.png"}
    elsewhere = data_of(write_report([tmp_path / "sweep"], tmp_path / "out"))["clips"]["1"][0]
    assert elsewhere["picture"] == {"href": "report_files/run0001_clip0_picture.png"}
    for key in ("generated", "picture"):
        assert (tmp_path / "out" / elsewhere[key]["href"]).stat().st_size > 0
    write_report([tmp_path / "sweep" / "0"], tmp_path / "out")
    assert not (tmp_path / "out" / "report_files").exists(), "an earlier report's files are deleted"


@pytest.mark.parametrize("way", ["up", "absolute", "link", "missing", "no picture", "no sound", "directory"])
def test_files_that_are_not_the_run_s_own_are_not_shown(tmp_path: Path, way: str) -> None:
    root = write_vocoder(tmp_path / "run")
    write_clips(tmp_path / "other")
    picture, secret = root / "x.png", tmp_path / "other" / "pictures" / "LJ-007.png"
    names = {"up": "../other/pictures/LJ-007.png", "absolute": str(secret)}
    if way == "link":
        picture.symlink_to(secret)
    elif way == "no picture":
        picture.write_text("<svg/>")
    elif way == "directory":
        picture.mkdir()
    (root / "x.flac").write_bytes(b"fLaC")
    clip: dict[str, Any] = {"name": "c", "picture": names.get(way, "x.png")}
    if way == "no sound":
        clip = {"name": "c", "target": "x.flac"}
    content = data_of(
        write_report([write_vocoder(tmp_path / "runs" / "0", clips=True), _with_clip(root, clip)])
    )
    damage = " ".join(content["runs"][1]["damages"])
    assert damage.startswith("clip c: ")
    assert content["clips"]["1"] == [{"name": "c", "why": "", "figures": {}}]
    assert len(content["clips"]["0"]) == 2, "the others are shown"


def _with_clip(root: Path, clip: dict[str, Any]) -> Path:
    path = root / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "clips": [clip]}))
    return root

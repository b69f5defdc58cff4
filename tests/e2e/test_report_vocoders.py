"""The page of runs that declare what is shown of them, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namexp.comparison.page import write_report, write_run_page
from tests.e2e.test_report import column
from tests.unit.comparison.vocoders import write_vocoder

pytestmark = pytest.mark.e2e

LOG = "seed004_run_epochs.csv"


@pytest.fixture
def beside_the_report(tmp_path: Path, golden: Path) -> Path:
    """A sound run, and the log of the report's own."""
    return write_report([write_vocoder(tmp_path / "run", clips=True), golden / "vocoder" / LOG])


def test_a_broken_run_beside_a_sound_one(open_page: Callable[..., Any], beside_the_report: Path) -> None:
    page = open_page(beside_the_report)
    assert page.inner_text("#detail-title") == "run run: generator"
    assert "Nothing wrong is seen" in page.inner_text(".diagnosis")
    assert "wrong: The multi-period discriminators (MPD) are certain" in page.inner_text("#problem-list")
    page.wait_for_selector(".charts figure")
    assert page.locator(".charts figure").count() == 13
    assert page.locator(".charts .plot").count() == 26, "two runs are drawn side by side without being asked"
    # 4 totals, 8 mean outputs and 14 parts of each, learning rates and gradient norms: 4 and 1
    assert page.locator(".charts path.line").count() == 30 + 27
    rows = page.locator(".declared-table").first.locator("tbody tr").all_inner_texts()
    sound = {"real": ["0.721", "0.722"], "fake": ["0.331", "0.322"]}
    certain = {"real": ["1.000", "1.000"], "fake": ["0.000", "0.000"]}
    assert [row.split("\t") for row in rows] == [
        [f"{own} on {of}", *sound[of], *certain[of]] for own in ("MPD", "MSD") for of in ("real", "fake")
    ]
    page.select_option("#beside", "-1")
    assert page.locator(".charts .plot").count() == 13
    page.locator("#table button.open", has_text=LOG).click()
    assert "This is a log of another program: looked at, not ranked." in page.inner_text("#detail-body")
    assert page.locator(".diagnosis li.alarm").count() == 5
    assert page.locator(".command").count() == 0
    assert column(page, "state") == ["done", "log"]


def test_clips_are_heard_and_seen(open_page: Callable[..., Any], tmp_path: Path) -> None:
    page = open_page(write_run_page(write_vocoder(tmp_path / "run", clips=True)))
    titles = page.locator(".excerpt h3").all_inner_texts()
    assert titles == ["Worst by mel_error: LJ-007", "Median: LJ-003"]
    assert (
        "mel_error 0.500 · gain −0.90 dB · correlation 0.100" in page.locator(".excerpt").first.inner_text()
    )
    assert page.locator(".players b").all_inner_texts() == ["Recording", "Generated"] * 2
    for k in range(4):
        page.wait_for_function(f"document.querySelectorAll('audio')[{k}].duration > 0.9")
    page.locator("img.picture").last.scroll_into_view_if_needed()
    for k in range(2):
        page.wait_for_function(f"document.querySelectorAll('img.picture')[{k}].naturalWidth > 100")
    assert page.locator("canvas").count() == 0
    assert "ESR" not in page.locator("body").inner_text()
    assert "the amp" not in page.locator("body").inner_text()


def test_a_log_alone(open_page: Callable[..., Any], tmp_path: Path, golden: Path) -> None:
    page = open_page(write_report([golden / "vocoder" / LOG], tmp_path))
    assert page.locator("#overview").is_hidden(), "there is nothing to rank"
    page.wait_for_selector(".charts figure")
    assert page.locator(".charts figure").count() == 12
    assert page.locator("#beside").count() == 0


def test_a_sweep_by_mel_error_against_speed_and_size(open_page: Callable[..., Any], tmp_path: Path) -> None:
    sizes = ((16, 0.9, 90.0), (24, 0.95, 60.0), (32, 0.5, 40.0), (48, 0.49, None))
    for i, (channels, mel_error, speed) in enumerate(sizes):
        write_vocoder(tmp_path / str(i), channels=channels, mel_error=mel_error, speed=speed)
    page = open_page(write_report([tmp_path]))
    assert "lowest mel_error: run 3, generator" in page.inner_text("#headline")
    assert page.locator("#scatter-axis option").all_inner_texts() == ["MACs per sample", "weights", "speed"]
    assert page.inner_text("#scatter-title") == "Error against computation"
    for axis, title, points in (("parameters", "size", 4), ("speed", "speed", 3), ("macs", "computation", 4)):
        page.select_option("#scatter-axis", axis)
        assert page.inner_text("#scatter-title") == f"Error against {title}"
        assert page.locator("#scatter circle.point").count() == points, "what was not measured is not drawn"
        assert page.locator("#scatter path.front").count() == 1
    assert column(page, "real time") == ["90×", "60×", "40×", "–"]
    assert page.locator("#beside option").count() == 4
    assert page.locator("#beside").input_value() == "-1"


CHARTS = [
    {
        "title": "log s", "x": "flow",
        "bands": {"all": [[1, -1, 1], [2, 0, 2]]}, "lines": {"mean": [[1, 0], [2, 1]]},
    },
    {
        "title": "z", "x": "z", "note": "of one clip", "bars": {"z": [[-1, 0.2], [0, 0.5], [1, 0.3]]},
        "lines": {"Gaussian": [[-1, 0.24], [1, 0.24]]},
    },
    {"title": "by logarithms", "log": True, "bars": {"z": [[-1, 0.2], [0, 0.5]]}},
    {
        "title": "spectrum", "x": "kHz", "y": "dB",
        "lines": {"z": [[0, -3], [10, 3]]}, "levels": {"white noise": 0},
    },
]  # fmt: skip


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """A sweep of two kinds over three seeds, which declares charts, a reference and what counts."""
    lls = {"waveflow": (9000, (2.2, 2.5, 1.9)), "nanoflow": (3000, (2.1, 2.41, 1.79))}
    figures = [{"title": "LL", "columns": {"train": "train/total_loss_g"}, "levels": {"reference": 200.0}}]
    for kind, (parameters, own) in lls.items():
        for seed, ll in enumerate(own):
            flow = {"index": 0, "name": kind, "parameters": parameters, "macs_per_sample": 100, "ll": ll}
            write_vocoder(
                tmp_path / f"{kind}{seed}", seed=seed, submodels=[flow],
                metrics=[{"name": "ll", "better": "higher"}], costs=["parameters", "macs_per_sample"],
                charts=CHARTS, figures=figures, tables=[], seedless_id=kind,
                training_id=f"{kind}{seed}", channels=len(kind) * 4,
            )  # fmt: skip
    return write_report([tmp_path])


def test_charts_bring_their_values_and_levels_go_right_across(
    open_page: Callable[..., Any], flows: Path
) -> None:
    page = open_page(flows)
    page.wait_for_selector(".charts figure")
    assert page.locator(".declared h3.after").inner_text() == "What came out"
    after = page.locator(".charts").nth(1)
    titles = after.locator("figcaption b").all_inner_texts()
    assert titles == ["log s", "z", "by logarithms", "spectrum"]
    assert [after.locator(f"path.{kind}").count() for kind in ("band", "bars", "line")] == [1, 2, 3]
    assert after.locator("line.level").count() == 1
    assert "white noise" in after.locator("figcaption").nth(3).inner_text()
    assert after.locator("figure").nth(1).locator(".hint").inner_text() == "of one clip"
    first = page.locator(".charts").first
    assert first.locator("line.level").count() == 1
    level, box = first.locator("line.level").bounding_box(), first.locator("svg").bounding_box()
    assert level["width"] > 0.8 * (box["width"] - 70)
    # bars stand on the axis: as high as their values say
    heights = after.locator("figure").nth(1).locator("path.bars").get_attribute("d")
    tops = [float(part.split("H")[0]) for part in heights.split("V")[1::2]]
    foot = float(heights.split(" ")[1].split("V")[0])
    assert (foot - tops[0]) / (foot - tops[1]) == pytest.approx(0.4, abs=0.02)
    after.locator("path.bars").first.hover()
    assert "z\n0.500 at z 0" in page.inner_text("#tip")
    page.select_option("#beside", "0" if page.locator("#beside option[value='0']").count() else "1")
    assert page.locator(".charts.beside").nth(1).locator("path.bars").count() == 4


def test_a_sweep_is_drawn_over_what_its_runs_declare_and_says_what_holds(
    open_page: Callable[..., Any], flows: Path
) -> None:
    page = open_page(flows)
    assert page.locator("#scatter-axis option").all_inner_texts() == ["weights", "MACs per sample"]
    assert page.inner_text("#scatter-title") == "ll against size"
    assert "Upper left is better" in page.inner_text("#scatter-hint")
    assert "3k weights" in page.inner_text("#headline")
    assert page.locator("#scatter path.front").count() == 1
    assert sorted(column(page, "front")) == ["", "", "", "", "★", "★"]
    (verdict,) = page.locator("#verdicts li").all_inner_texts()
    assert "is worse than" in verdict or "is better than" in verdict
    assert "ll" in verdict
    assert "of that sign in 3 of 3" in verdict
    page.select_option("#scatter-axis", "macs")
    assert page.inner_text("#scatter-title") == "ll against computation"


@pytest.mark.parametrize("width", [320, 768])
@pytest.mark.parametrize("report", ["flows", "beside_the_report"])
def test_no_page_is_wider_than_its_screen(
    open_page: Callable[..., Any], request: pytest.FixtureRequest, report: str, width: int
) -> None:
    page = open_page(request.getfixturevalue(report), width, 844)
    page.wait_for_selector(".charts figure")
    assert page.evaluate("document.documentElement.scrollWidth") <= width

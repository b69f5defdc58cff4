"""The report from the command line, and the page in a real browser."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from namexp.comparison.page import write_report, write_run_page
from namexp.runs.layout import RunLayout
from tests.e2e.conftest import RATE
from tests.e2e.test_training import KINDS, SMALL
from tests.synthetic_runs import write_run, write_sweep

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]


# --- the command ----------------------------------------------------------------------------------


def test_a_sweep_and_its_report(command: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    finished = command(
        "train", "-m", *KINDS["packed"], *SMALL, f"data.input={pair[0]}", f"data.target={pair[1]}",
        f"hydra.sweep.dir={sweep}", "trainer.max_epochs=1", "seed=0,1", "data.batch_size=8,0",
    )  # fmt: skip
    assert finished.returncode == 1  # half of the jobs are refused
    shutil.rmtree(sweep / "3")
    reported = command("report", sweep)
    assert reported.returncode == 0, reported.stderr
    assert "report.html" in reported.stdout
    report = json.loads((sweep / "report.json").read_text())
    assert [r["state"] for r in report["runs"]] == ["done", "done", "failed", "missing"]
    assert "data.batch_size (= 0)" in report["runs"][2]["reason"]
    assert [(g["n"], g["runs"]) for g in report["groups"]] == [(2, ["0", "1"])]
    summary = json.loads((sweep / "1" / "summary.json").read_text())
    for found, expected in zip(report["runs"][1]["submodels"], summary["submodels"], strict=True):
        assert found["esr"] == expected["ESR"]
        assert found["realtime_factor"] == expected["realtime_factor"] > 0
    assert (sweep / "0" / "report.html").stat().st_size > 0
    _listening_is_the_validation_part(sweep / "0", pair)
    _the_command_repeats_the_run(command, report["runs"][1]["command"], sweep / "1", tmp_path / "again")


def _listening_is_the_validation_part(run: Path, pair: tuple[Path, Path]) -> None:
    from namexp.audio.wav import read_wav

    summary = json.loads((run / "summary.json").read_text())
    target = read_wav(pair[1]).samples[-RATE:][summary["receptive_field"] - 1 :]  # 1 s validates
    heard = read_wav(RunLayout(run).audio_target).samples
    assert abs(heard - target).max() < 2**-22
    for entry in summary["submodels"]:
        played = read_wav(RunLayout(run).audio_prediction(entry["index"])).samples.astype(float)
        esr = float(((played - target) ** 2).sum() / (target.astype(float) ** 2).sum())
        assert esr == pytest.approx(entry["ESR"], rel=1e-3)


def _the_command_repeats_the_run(command: Run, text: str, run: Path, again: Path) -> None:
    words = shlex.split(text)
    assert words[:3] == ["python", "-m", "namexp.train"]
    finished = command("train", *words[3:], f"hydra.run.dir={again}")
    assert finished.returncode == 0, finished.stderr
    first, second = (json.loads((r / "summary.json").read_text()) for r in (run, again))
    assert first["training_id"] == second["training_id"]
    assert [s["ESR"] for s in first["submodels"]] == [s["ESR"] for s in second["submodels"]]


def test_quiet_writes_neither_page_nor_sound(command: Run, pair: tuple[Path, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    finished = command(
        "train", *KINDS["wavenet"], *SMALL, f"data.input={pair[0]}", f"data.target={pair[1]}",
        f"hydra.run.dir={run}", "trainer.max_epochs=1", "callbacks=quiet",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    assert not (run / "report.html").exists()
    assert not (run / "audio").exists()


def test_mistakes_end_in_one_line(command: Run, tmp_path: Path) -> None:
    for path, message in ((tmp_path / "nowhere", "no such directory"), (tmp_path, "holds no run directory")):
        finished = command("report", path)
        assert finished.returncode == 1
        assert message in finished.stderr
        assert len(finished.stderr.splitlines()) == 1
    assert command("report").returncode == 2


def test_reading_runs_needs_no_torch() -> None:
    code = (
        "import sys, namexp.report, namexp.comparison.page;"
        "assert not {'torch', 'matplotlib', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


# --- the page in a browser ------------------------------------------------------------------------


def column(page: Any, name: str) -> list[str]:
    """The texts of a column by its name, as far as the table is filled."""
    heads = page.locator("#table thead th").all_inner_texts()
    at = [head.strip() for head in heads].index(name)
    texts: list[str] = page.locator(f"#table tbody tr td:nth-child({at + 1})").all_inner_texts()
    return texts


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs with sound, one that failed, one missing."""
    root = tmp_path_factory.mktemp("small")
    for i in range(4):
        esr = (0.5 - i / 50, 0.2 - i / 50)
        write_run(root / str(i), channels=(2 + i // 2, 8), esr=esr, seed=i % 2, audio=True)
    write_run(root / "4", state="failed", error="UserError: data.ny (= 0) must be at least 1.")
    (root / "sweep.json").touch()
    planned = [(f"seed={i}",) for i in range(6)]
    return write_report([root], plan=lambda _: planned)


def test_sorting(open_page: Callable[..., Any], small: Path) -> None:
    page = open_page(small)
    head = page.locator("#table thead th", has_text="ESR").first
    assert head.get_attribute("aria-sort") == "none"
    head.locator("button").focus()
    page.keyboard.press("Enter")  # by keyboard
    values = [text for text in column(page, "ESR") if text != "–"]
    assert [float(v) for v in values] == sorted(float(v) for v in values)
    assert column(page, "ESR")[-2:] == ["–", "–"], "what has no ESR comes last"
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")  # the focus stays where it was
    values = [text for text in column(page, "ESR") if text != "–"]
    assert [float(v) for v in values] == sorted((float(v) for v in values), reverse=True)
    assert column(page, "ESR")[-2:] == ["–", "–"]
    assert head.get_attribute("aria-sort") == "descending"


def test_filtering(open_page: Callable[..., Any], small: Path) -> None:
    page = open_page(small)
    assert page.locator("#table tbody tr").count() == 10
    for text, runs in (
        ("failed", {"4"}), ("esr<0.15", {"3"}), ("seed=1", {"1", "3"}), ("channels_8 seed=0", {"0", "2"}),
        ("esr<0.2 macs>1000", {"1", "2", "3"}), ("nothing like it", {"Nothing matches the filter."}),
    ):  # fmt: skip
        page.fill("#filter", text)
        page.wait_for_timeout(60)  # a frame
        assert set(page.locator("#table tbody tr td:first-child").all_inner_texts()) == runs, text
    page.fill("#filter", "")
    page.check("#only-front")
    stars = column(page, "front")
    assert stars
    assert set(stars) == {"★"}
    page.uncheck("#only-front")
    page.select_option("#only-state", "missing")
    assert column(page, "run") == ["5"]


def test_a_row_is_shown_in_detail_and_its_command_copied(open_page: Callable[..., Any], small: Path) -> None:
    page = open_page(small)
    page.locator("#table tbody tr", has_text="failed").locator("button.open").click()
    assert page.inner_text("#detail-title") == "run 4"
    assert "data.ny (= 0) must be at least 1." in page.inner_text("#detail-body")
    page.locator("#table tbody tr button.open").nth(5).click()
    assert page.inner_text("#detail-title") == "run 2: channels_8"
    shown = page.inner_text(".command pre")
    assert shown == "python -m namexp.train model=packed_wavenet_small 'model.channels=[3,8]' seed=0"
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click(".command button")
    page.wait_for_selector("text=Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == shown
    assert page.inner_text("#problem-list").count("data.ny (= 0)") == 1
    page.click("#after")
    assert page.inner_text("#detail-title") == "run 3: channels_3"


def test_every_player_loads_its_sound(open_page: Callable[..., Any], small: Path) -> None:
    page = open_page(small)
    ways = set()
    for row in range(8):
        page.locator("#table tbody tr button.open").nth(row).click()
        audios = page.locator("audio")
        assert audios.count() == 3
        for k in range(3):
            page.wait_for_function(f"document.querySelectorAll('audio')[{k}].duration > 0")
            assert audios.nth(k).evaluate("a => a.duration") == pytest.approx(4.0, abs=0.01)
            ways.add(audios.nth(k).evaluate("a => a.src.split(':')[0]"))
    assert ways == {"blob", "file"}, "some inside the page, some beside it"


def test_one_plays_at_a_time_from_the_same_place(open_page: Callable[..., Any], small: Path) -> None:
    page = open_page(small)
    page.wait_for_function("[...document.querySelectorAll('audio')].every((a) => a.readyState > 0)")
    page.evaluate("document.querySelectorAll('audio').forEach((a) => { a.muted = true; })")
    page.evaluate(
        "() => { const a = document.querySelectorAll('audio')[0]; a.currentTime = 2; return a.play(); }"
    )
    page.evaluate("() => document.querySelectorAll('audio')[2].play()")
    assert page.evaluate("document.querySelectorAll('audio')[0].paused")
    assert not page.evaluate("document.querySelectorAll('audio')[2].paused")
    assert page.evaluate("document.querySelectorAll('audio')[2].currentTime") >= 2.0


def test_the_seconds_are_drawn(open_page: Callable[..., Any], small: Path) -> None:
    page = open_page(small)
    colours = """(k) => {
        const canvas = document.querySelectorAll('canvas')[k];
        const copy = new OffscreenCanvas(canvas.width, canvas.height);
        const g = copy.getContext('2d', { willReadFrequently: true });
        g.drawImage(canvas, 0, 0);
        const data = g.getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(data.buffer)).size;
    }"""
    assert page.locator("canvas").count() == 10  # two seconds: wave, close-up, three spectrograms
    page.wait_for_function(f"({colours})(9) > 20")
    for k in range(10):
        assert page.evaluate(colours, k) > 5, f"canvas {k} is empty"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 768, 1400])
def test_no_page_is_wider_than_its_screen(
    open_page: Callable[..., Any], small: Path, width: int, scheme: str
) -> None:
    page = open_page(small, width, 844, scheme)
    page.locator("details").evaluate_all("all => all.forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    light = page.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")
    assert (int(light[0]) > 128) == (scheme == "light")
    page.click("#theme")
    turned = page.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")
    assert (int(turned[0]) > 128) == (scheme == "dark")


def test_the_page_of_one_run(open_page: Callable[..., Any], tmp_path: Path) -> None:
    write_run(tmp_path / "run", audio=True)
    page = open_page(write_run_page(tmp_path / "run"), 390, 844)
    assert page.inner_text("h1") == "run"
    page.wait_for_function("document.querySelector('audio').duration > 0")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_runs_without_anything_to_show(open_page: Callable[..., Any], tmp_path: Path) -> None:
    write_run(tmp_path / "0", state="failed", error="UserError: no")
    write_run(tmp_path / "1", state="running")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "status.json").write_text("{")
    page = open_page(write_report([tmp_path]))
    assert column(page, "state") == ["failed", "interrupted", "unknown"]
    assert "No run has been scored yet." in page.inner_text("#scatter")
    assert page.locator("#curves path.line").count() == 2, "what was cut off has learned something"


def test_a_sweep_of_which_no_job_has_begun(open_page: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "sweep.json").touch()
    page = open_page(write_report([tmp_path], plan=lambda _: [("seed=0",), ("seed=1",)]))
    assert column(page, "run") == ["0", "1"]
    assert "2 missing" in page.inner_text("#problem-list")


def test_five_hundred_runs_can_be_used(open_page: Callable[..., Any], tmp_path: Path) -> None:
    write_sweep(tmp_path, 500)
    page = open_page(write_report([tmp_path]))
    assert page.locator("#table tbody tr").first.is_visible()
    assert page.locator("#table tbody tr").count() < 200, "rows are made as they are scrolled to"
    assert page.inner_text("#row-count") == "500 runs, 979 rows"
    for _ in range(30):
        page.evaluate(
            "() => { const s = document.getElementById('table-scroll'); s.scrollTop = s.scrollHeight; }"
        )
        page.wait_for_timeout(30)
    assert page.locator("#table tbody tr").count() == 979
    page.locator("#table thead th", has_text="ESR").first.locator("button").click()
    shown = [float(v) for v in column(page, "ESR")]
    assert shown == sorted(shown)
    page.fill("#filter", "failed")
    page.wait_for_timeout(60)
    assert page.inner_text("#row-count").startswith("20 runs")

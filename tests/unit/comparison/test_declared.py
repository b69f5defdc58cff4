"""What runs declare to be shown: read, drawn and tabled; what is damaged costs only itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from namexp.comparison import adversarial
from namexp.comparison.columns import FIGURE_POINTS, Drawn, Filled, drawn, filled, read_columns
from namexp.comparison.declared import Figure, Table, Words, read_clips, read_figures, read_tables, read_words
from namexp.comparison.reading import read_run
from tests.synthetic_runs import write_run
from tests.unit.comparison.vocoders import write_vocoder

ROWS = [
    {"epoch": "0", "step": "0", "train/a": "1.0", "val/a": ""},
    {"epoch": "0", "step": "5", "train/a": "3.0", "val/a": "8"},
    {"epoch": "1", "step": "9", "train/a": "nan", "val/a": "6"},
    {"epoch": "1", "step": "10", "train/a": "5.0", "val/a": "2"},
    {"epoch": "", "step": "11", "train/a": "7.0", "val/a": "7"},  # cut off
]


def test_figures_over_epochs_are_means_and_over_steps_every_row() -> None:
    columns = read_columns(ROWS)
    lines = {"train": "train/a", "validation": "val/a", "other": "nowhere"}
    over_epochs, over_steps = drawn([Figure("A", lines, "epoch"), Figure("A", lines)], columns)
    assert over_epochs == Drawn(
        "A", "epoch", False, {"train": ((1, 2), (2, 5)), "validation": ((1, 8), (2, 4))}
    )
    assert over_steps.x == "step", "two epochs are too few to draw over"
    assert over_steps.lines["train"] == ((0, 1), (5, 3), (10, 5))
    assert drawn([Figure("B", {"x": "nowhere"})], columns) == ()


def test_long_columns_are_averaged_in_windows() -> None:
    rows = [{"epoch": i, "step": i, "train/a": i % 2} for i in range(2 * FIGURE_POINTS)]
    (figure,) = drawn([Figure("A", {"train": "train/a"})], read_columns(rows))
    assert len(figure.lines["train"]) == FIGURE_POINTS
    assert {value for _, value in figure.lines["train"]} == {0.5}


def test_tables_show_an_epoch() -> None:
    rows = {"a": {"train": "train/a", "validation": "val/a"}, "b": {"validation": "val/a", "test": "nowhere"}}
    columns = read_columns(ROWS)
    best, last = filled([Table("T", rows, "best"), Table("T", rows)], columns, 0)
    assert best == Filled(
        "T", 1.0, ("train", "validation", "test"), {"a": (2, 8, None), "b": (None, 8, None)}
    )
    assert last.epoch == 2.0
    assert last.rows["b"] == (None, 4, None)
    assert math.isnan(last.rows["a"][0] or 0.0), "NaN is seen"
    assert filled([Table("T", {"a": {"train": "nowhere"}})], columns, 0) == ()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (3, "must be a mapping"),
        ({"columns": {"a": "b"}}, "title must be a text"),
        ({"title": "A", "columns": {}}, "columns must map words to columns"),
        ({"title": "A", "columns": {"a": 3}}, "columns must map words to columns"),
        ({"title": "A", "columns": {"a": "b"}, "x": "seconds"}, "x must be epoch or step"),
        ({"title": "A", "columns": {"a": "b"}, "log": "yes"}, "log must be true or false"),
    ],
)
def test_a_damaged_figure_is_named_and_the_others_are_read(entry: Any, expected: str) -> None:
    damages: list[str] = []
    sound = {"title": "S", "columns": {"a": "b"}, "log": True, "x": "step"}
    assert read_figures({"figures": [entry, sound]}, damages) == (Figure("S", {"a": "b"}, "step", True),)
    assert len(damages) == 1
    assert damages[0].startswith(f"summary.json: figures[0]: {expected}")


def test_damaged_tables_clips_and_words_are_named() -> None:
    damages: list[str] = []
    said = {
        "task": "vocoder",
        "tables": [{"title": "T", "rows": {"a": "b"}}, {"title": "T", "rows": []}, {"title": "T", "at": 3}],
        "clips": [{"name": "a", "target": 3}, {"name": ""}, {"name": "b", "why": 3}],
        "words": {"target": 3},
        "figures": {"title": "A"},
    }  # fmt: skip
    assert read_tables(said, damages) == read_clips(said, damages) == read_figures(said, damages) == ()
    assert read_words(said, damages) == Words()
    assert [damage.removeprefix("summary.json: ").split(":")[0] for damage in damages] == [
        "tables[0]", "tables[1]", "tables[2]", "clips[0]", "clips[1]", "clips[2]", "figures", "words",
    ]  # fmt: skip


def test_clips_keep_their_numbers() -> None:
    entry = {
        "name": "a",
        "target": "audio/a.flac",
        "mel_error": 1,
        "gain_db": -0.5,
        "x": math.inf,
        "y": True,
        "z": "t",
    }
    (clip,) = read_clips({"clips": [entry]}, [])
    assert clip.figures == {"mel_error": 1.0, "gain_db": -0.5}
    assert (clip.target, clip.generated, clip.picture, clip.why) == ("audio/a.flac", None, None, "")


def test_runs_from_before_there_were_tasks_speak_of_amps() -> None:
    assert read_words({}, []).target == "Target (the amp)"
    assert read_words({"task": "line"}, []).target == "Target"
    assert (
        read_words({"task": "vocoder", "words": {"target": "Recording", "unknown": "x"}}, []).target
        == "Recording"
    )


def test_a_vocoder_is_read_whole(tmp_path: Path) -> None:
    run = read_run(write_vocoder(tmp_path / "a", epochs=10), "a")
    assert run.damages == ()
    assert [figure.title for figure in run.figures] == [figure["title"] for figure in adversarial.FIGURES]
    means, losses = run.tables
    assert means.heads == ("train", "validation")
    assert means.rows["MPD on real"][1] == pytest.approx(0.5 + 0.2 + 0.03 * math.sin(40.0))
    assert losses.rows["Mel loss (L1)"][1] == pytest.approx(0.4)
    assert run.submodels[0].facts == {"parameters_training": str(41 * 32**2)}
    assert [finding.level for finding in run.diagnosis] == ["fine"]


def test_a_run_that_never_came_to_a_summary_is_drawn_and_judged(tmp_path: Path) -> None:
    root = write_vocoder(tmp_path / "a", epochs=10)
    (root / "summary.json").unlink()
    run = read_run(root, "a")
    assert len(run.figures) == len(adversarial.FIGURES)
    assert [finding.level for finding in run.diagnosis] == ["fine"]


def test_gain_and_polarity_of_all_clips_count(tmp_path: Path) -> None:
    run = read_run(write_vocoder(tmp_path / "a", gain_db=-9.0, correlation=-0.9), "a")
    assert [finding.text[:13] for finding in run.diagnosis] == ["Gain lost: ge", "Polarity lost"]


def test_captures_declare_nothing(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "a"), "a")
    assert (run.figures, run.tables, run.clips, run.diagnosis, run.submodels[0].facts) == ((), (), (), (), {})
    assert run.words.no_sound.startswith(
        "No listening material: the run was made with callbacks.audio=false, or"
    )

"""Charts that bring their values, levels, and what a headline is drawn against."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from namexp.comparison.charts import MOST_POINTS, Chart, read_charts
from namexp.comparison.content import find
from namexp.comparison.declared import USUAL_COSTS, Figure, read_costs, read_figures
from namexp.comparison.page import write_report
from namexp.comparison.reading import read_run
from tests.unit.comparison.test_page import data_of
from tests.unit.comparison.vocoders import write_vocoder

SOUND = {"title": "S", "lines": {"a": [[0, 1], [1, 2.5]]}}
LL = [{"name": "ll", "better": "higher"}]


def test_a_chart_as_it_was_declared() -> None:
    entry = {
        **SOUND, "x": "z", "y": "density", "log": True, "note": "of one clip", "levels": {"white": 0},
        "bars": {"z": [[-1, 0.5], [1, 0.25]]}, "bands": {"all": [[1, -2, 3]]},
    }  # fmt: skip
    damages: list[str] = []
    (chart,) = read_charts({"charts": [entry]}, damages)
    assert damages == []
    assert chart == Chart(
        "S", "z", "density", True, {"a": ((0.0, 1.0), (1.0, 2.5))}, {"z": ((-1.0, 0.5), (1.0, 0.25))},
        {"all": ((1.0, -2.0, 3.0),)}, {"white": 0.0}, "of one clip",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("text", "must be a mapping"),
        ({"lines": {"a": [[0, 1]]}}, "title must be a text"),
        ({"title": "A"}, "lines, bars or bands must hold something to draw"),
        ({"title": "A", "lines": {}}, "lines, bars or bands must hold something to draw"),
        ({"title": "A", "lines": [[0, 1]]}, "lines must map words"),
        ({"title": "A", "lines": {"a": []}}, "lines must map words"),
        ({"title": "A", "lines": {"a": [[0, 1, 2]]}}, "lines must map words"),
        ({"title": "A", "lines": {"a": [[0, math.nan]]}}, "lines must map words"),
        ({"title": "A", "lines": {"a": [[0, "1"]]}}, "lines must map words"),
        ({"title": "A", "lines": {"a": [[1, 0], [0, 0]]}}, "lines must map words"),
        ({"title": "A", "bars": {"a": [[0, True]]}}, "bars must map words"),
        ({"title": "A", "bands": {"a": [[0, 1]]}}, "bands must map words"),
        ({"title": "A", "lines": {"a": [[i, 0] for i in range(MOST_POINTS + 1)]}}, "lines must map words"),
        ({**SOUND, "x": 3}, "x must be a text"),
        ({**SOUND, "log": "yes"}, "log must be true or false"),
        ({**SOUND, "levels": {"a": None}}, "levels must map words to numbers"),
    ],
)
def test_a_damaged_chart_is_named_and_the_others_are_read(entry: Any, expected: str) -> None:
    damages: list[str] = []
    assert [chart.title for chart in read_charts({"charts": [entry, SOUND]}, damages)] == ["S"]
    assert [damage.startswith(f"summary.json: charts[0]: {expected}") for damage in damages] == [True]


def test_levels_of_columns() -> None:
    entry = {"title": "A", "columns": {"a": "b"}, "levels": {"reference": 5.17}}
    assert read_figures({"figures": [entry]}, []) == (Figure("A", {"a": "b"}, levels={"reference": 5.17}),)
    damages: list[str] = []
    assert read_figures({"figures": [{**entry, "levels": {"reference": "high"}}]}, damages) == ()
    assert damages == ["summary.json: figures[0]: levels must map words to numbers"]


@pytest.mark.parametrize("costs", ["parameters", [], [3], {"parameters": 1}])
def test_costs_that_are_none_are_named(costs: Any) -> None:
    damages: list[str] = []
    assert read_costs({"costs": costs}, damages) == USUAL_COSTS
    assert damages == ["summary.json: costs: must be a list of names of facts"]


def _flow(root: Path, ll: float, parameters: int, macs: int, **more: Any) -> Path:
    """A run that declares its size as what counts; larger ones of the same computation."""
    facts = {"parameters": parameters, "macs_per_sample": macs, **more}
    own = {"index": 0, "name": "flow", "ll": ll, "val_loss": -ll, **facts}
    return write_vocoder(root, metrics=LL, submodels=[own], seedless_id=str(parameters))


def _declare(folder: Path, costs: list[str]) -> None:
    for path in folder.glob("*/summary.json"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "costs": costs}))


def test_the_front_is_over_the_first_cost_that_runs_declare(tmp_path: Path) -> None:
    for name, ll, parameters, macs in (("0", 5.15, 5925, 100), ("1", 5.17, 2819, 400), ("2", 5.1, 2900, 300)):
        _flow(tmp_path / name, ll, parameters, macs)
    runs = [read_run(tmp_path / name, name) for name in "012"]
    usual = find(runs)
    assert (usual.costs, usual.front) == (USUAL_COSTS[:2], [(0, 0), (1, 0)])  # speed was not measured
    _declare(tmp_path, ["parameters", "macs_per_sample"])
    report = write_report([tmp_path])
    content = data_of(report)
    assert content["costs"] == ["parameters", "macs_per_sample"]
    assert content["front"] == [[1, 0]], "smaller than both others, and better"
    assert content["runs"][1]["submodels"][0]["costs"] == {"parameters": 2819.0, "macs_per_sample": 400.0}


def test_any_fact_can_be_a_cost_and_what_is_unknown_or_not_above_0_is_left_out(tmp_path: Path) -> None:
    costs = ["macs_per_image", "never_said", "parameters", "realtime_factor"]
    _flow(tmp_path / "0", 1.0, 10, 0, macs_per_image=8, realtime_factor=4.0)
    _flow(tmp_path / "1", 2.0, 0, 0, macs_per_image=9)
    _declare(tmp_path, costs)
    content = data_of(write_report([tmp_path]))
    assert content["costs"] == ["macs_per_image", "parameters", "realtime_factor"]
    assert content["front"] == [[0, 0], [1, 0]]
    assert [run["submodels"][0]["costs"] for run in content["runs"]] == [
        {"macs_per_image": 8.0, "parameters": 10.0, "realtime_factor": 0.25}, {"macs_per_image": 9.0},
    ]  # fmt: skip


def test_charts_reach_the_page_after_the_columns(tmp_path: Path) -> None:
    write_vocoder(tmp_path / "0", charts=[SOUND, {"title": "broken"}])
    content = data_of(write_report([tmp_path]))
    *columns, chart = content["figures"]["0"]
    assert (chart["title"], chart["after"], chart["lines"]) == ("S", True, {"a": [[0.0, 1.0], [1.0, 2.5]]})
    assert not any(figure.get("after") for figure in columns)
    assert content["runs"][0]["damages"] == [
        "summary.json: charts[1]: lines, bars or bands must hold something to draw"
    ]

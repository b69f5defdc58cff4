"""The report: report.html, report.csv and report.json from run directories."""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from tqdm import tqdm

from namexp.comparison import content as contents
from namexp.comparison.budget import PAGE_BYTES, Budget
from namexp.comparison.collect import SHOW_PROGRESS_FROM, Plan, collect, is_run
from namexp.comparison.columns import Curve
from namexp.comparison.content import Content, Findings
from namexp.comparison.excerpts import Drawing, draw, seconds, worst_and_median
from namexp.comparison.listening import FOLDER, Heard, Library, read_heard
from namexp.comparison.records import Run
from namexp.comparison.showing import show_clips
from namexp.errors import UserError
from namexp.runs.files import finite, write_json, write_text
from namexp.runs.layout import RunLayout
from namexp.sweeps.directory import recorded_jobs

PAGE, TABLE, FIGURES = "report.html", "report.csv", "report.json"
AUDIO_RESERVE = 8_000_000  # of the page, kept free of drawings for the sound of the best
MARGIN = 100_000  # tags around the parts


def write_report(paths: Sequence[Path], directory: Path | None = None, *, plan: Plan = recorded_jobs) -> Path:
    """Read runs and write the three files.

    Args:
        paths: run directories, directories of such, and training logs of other programs.
        directory: of the files; None: the first path that is a directory, or else the current one.
        plan: which jobs a sweep directory promises.

    Returns:
        The path of the page.

    Raises:
        UserError: no such directory, no run in it, no log that is known, or more runs than a page holds.
    """
    runs = collect(paths, plan=plan)
    directory = directory or next((path for path in paths if path.is_dir()), Path())
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory}: is a file; give a directory for the page and what lies beside it.")
    directory.mkdir(parents=True, exist_ok=True)
    content = _write_page(runs, directory, _name(paths))
    write_json(directory / FIGURES, content)
    write_text(directory / TABLE, _csv(content))
    return directory / PAGE


def write_run_page(root: Path) -> Path:
    """Write ``report.html`` of the one run in ``root``, beside its other files."""
    _write_page(collect([root]), root, _name([root]))
    return root / PAGE


def _name(paths: Sequence[Path]) -> str:
    """Of the sweep or the run; directories named by date and time keep both."""
    names = []
    for path in paths:
        parts = path.resolve().parts
        dated = len(parts) > 1 and re.fullmatch(r"\d{4}-\d\d-\d\d", parts[-2])
        job = len(parts) > 1 and is_run(path) and parts[-1].isdecimal()
        names.append("/".join(parts[-2:]) if dated or job else parts[-1])
    return " + ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} more"


def _write_page(runs: Sequence[Run], directory: Path, name: str) -> Content:
    findings = contents.find(runs)
    content = finite(contents.describe(runs, findings, name=name, directory=directory))
    page = _Page(runs, findings, directory, content)
    page.add_curves()
    page.add_figures()
    page.add_media()
    write_text(directory / PAGE, page.html())
    page.library.tidy()
    return content


class _Page:
    """Collects what the page holds besides its figures, as far as the budget goes.

    Runs on the Pareto front come first, then those with the best headline: what no longer fits is
    left out of the last.
    """

    def __init__(self, runs: Sequence[Run], findings: Findings, directory: Path, content: Content) -> None:
        self.runs, self.findings, self.content = runs, findings, content
        self.order = contents.default_order(runs, findings)
        self.blobs: dict[str, str] = {}
        self.curves: dict[int, Any] = {}
        self.figures: dict[int, Any] = {}
        self.media: dict[int, dict[str, Any]] = {}
        self.clips: dict[int, Any] = {}
        self.budget = Budget(PAGE_BYTES - MARGIN)
        self.library = Library(directory, self.budget)
        base = len(self.html().encode())
        if not self.budget.take(base):
            raise UserError(
                f"{len(runs)} runs make a page of {base / 1e6:.0f} MB without any sound, and "
                f"{PAGE_BYTES / 1e6:.0f} MB is the most; report parts of them."
            )

    def add_curves(self) -> None:
        """Learning curves, rounded to what a screen shows."""
        for i in self.order:
            curves = {name: _rounded(points) for name, points in self.runs[i].curves.items()}
            if curves and self.budget.take(len(json.dumps(curves)) + 10):
                self.curves[i] = curves

    def add_figures(self) -> None:
        """What runs declare to be drawn of their columns, and of what came out."""
        for i in self.order:
            figures = [
                {**figure._asdict(), "lines": {word: _rounded(line) for word, line in figure.lines.items()}}
                for figure in self.runs[i].figures
            ]
            figures += [{**chart._asdict(), "after": True} for chart in self.runs[i].charts]
            size = len(json.dumps(figures)) + 10
            if figures and Budget(self.budget.left - AUDIO_RESERVE).take(size):
                self.budget.take(size)
                self.figures[i] = figures

    def add_media(self) -> None:
        """Drawings of all runs, then sound."""
        alone = len(self.runs) == 1
        front = set(self.findings.front)
        sounding: list[tuple[int, int, Heard]] = []
        shown = tqdm(
            self.order, desc="listening", unit="run", disable=len(self.runs) < SHOW_PROGRESS_FROM
        )  # fmt: skip
        for i in shown:
            self._show_clips(i, inside=alone or any(i == place[0] for place in front))
            for j in range(len(self.runs[i].submodels)):
                heard = read_heard(RunLayout(self.runs[i].root), self.runs[i].submodels[j].index)
                if isinstance(heard, str):
                    self.content["runs"][i]["damages"].append(heard)
                if not isinstance(heard, Heard):
                    continue
                self._entry(i, j)["excerpts"] = self._excerpts(heard)
                if alone or (i, j) in front:
                    sounding.append((i, j, heard))  # they share what the drawings leave
                else:
                    self._add_clips(i, j, heard, inside=False)
        for i, j, heard in sounding:
            self._add_clips(i, j, heard, inside=True)

    def _show_clips(self, i: int, *, inside: bool) -> None:
        run = self.runs[i]
        clips, damages = show_clips(self.library, run.root, run.clips, f"run{i:04d}", inside=inside)
        self.content["runs"][i]["damages"] += damages
        if clips:
            self.clips[i] = clips

    def _entry(self, i: int, j: int) -> dict[str, Any]:
        entry: dict[str, Any] = self.media.setdefault(i, {}).setdefault(str(j), {})
        return entry

    def _add_clips(self, i: int, j: int, heard: Heard, *, inside: bool) -> None:
        run, index = RunLayout(self.runs[i].root), self.runs[i].submodels[j].index
        clips = self.library.clips(run, index, heard, f"run{i:04d}_{index}", inside=inside)
        self._entry(i, j)["clips"] = clips

    def _excerpts(self, heard: Heard) -> dict[str, Any] | None:
        """The worst and the median second; None where nothing sounds or there is no room."""
        found = worst_and_median(seconds(*heard))
        if found is None:
            return None
        drawn = {"worst": draw(*heard, found[0]), "median": draw(*heard, found[1])}
        parts = {key: self._parts(drawing) for key, drawing in drawn.items()}
        new = {id_: text for own in parts.values() for id_, text in own if id_ not in self.blobs}
        room = Budget(self.budget.left - AUDIO_RESERVE)
        size = sum(len(text) + 60 for text in new.values()) + 700
        if not room.take(size):
            return None
        self.budget.take(size)
        self.blobs.update(new)
        return {key: _about(drawing, parts[key]) for key, drawing in drawn.items()}

    def _parts(self, drawing: Drawing) -> list[tuple[str, str]]:
        """(id, base64) of the target's part and of the prediction's; equal parts have one id."""
        return [
            (f"d{hashlib.sha256(part).hexdigest()[:12]}", base64.b64encode(part).decode("ascii"))
            for part in (drawing.target, drawing.prediction)
        ]

    def html(self) -> str:
        """The page as it stands."""
        words = list(dict.fromkeys(run.words for run in self.runs))  # few tasks, many runs
        data = {
            **self.content,
            "order": self.order,
            "curves": self.curves,
            "figures": self.figures,
            "media": self.media,
            "clips": self.clips,
            "words": [asdict(own) for own in words],
            "wording": [words.index(run.words) for run in self.runs],
            "folder": FOLDER,
        }
        blobs = {**self.blobs, **self.library.blobs}
        parts = (f'<script type="text/plain" id="{id_}">{text}</script>' for id_, text in blobs.items())
        fills = {
            "TITLE": html.escape(f"{self.content['name']} · namexp"),
            "STYLE": _file("report.css"),
            "DATA": json.dumps(finite(data), separators=(",", ":")).replace("<", "\\u003c"),
            "SCRIPT": "\n".join(_file(name) for name in SCRIPTS),
            "BLOBS": "\n".join(parts),
        }
        return re.sub(r"\{\{(\w+)\}\}", lambda match: fills[match[1]], _file("report.html"))


SCRIPTS = (
    "format.js", "chart.js", "plots.js", "scatter.js", "table.js", "drawing.js", "figures.js", "sound.js",
    "detail.js", "seeds.js", "report.js",
)  # fmt: skip


def _file(name: str) -> str:
    return (resources.files("namexp.comparison") / "template" / name).read_text(encoding="utf-8")


def _rounded(points: Curve) -> list[list[float]]:
    return [[round(x, 3), float(f"{y:.4g}")] for x, y in points]


def _about(drawing: Drawing, parts: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "start": round(drawing.start_seconds, 3),
        "seconds": round(drawing.seconds, 4),
        "esr": drawing.esr,
        "peak": drawing.peak,
        "zoom_ms": [round(v, 3) for v in drawing.zoom_ms],
        "zoom_samples": drawing.zoom_samples,
        "target": parts[0][0],
        "prediction": parts[1][0],
    }


def _csv(content: Content) -> str:
    rows = contents.csv_rows(content)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

"""What a run wants to be shown besides its metrics: it says so itself, in plain values of summary.json.

So the page knows no task. All keys are optional, and status.json may say them before there is a summary::

    "figures": [
        {"title": "Total loss", "columns": {"train": "train/total_loss_g", "validation": "val/total_loss_g"},
         "log": true, "x": "epoch", "levels": {"reference": 31.5}}
    ],
    "charts": [
        {"title": "z against the Gaussian", "x": "z", "y": "density", "note": "of one clip",
         "bars": {"z": [[-0.1, 0.38], [0.1, 0.41]]}, "lines": {"Gaussian": [[-0.1, 0.397], [0.1, 0.397]]}}
    ],
    "tables": [
        {"title": "Mean output of the discriminators", "at": "last",
         "rows": {"MPD on real": {"train": "train/mean_mpd_on_real", "validation": "val/mean_mpd_on_real"}}}
    ],
    "clips": [
        {"name": "LJ001-0007", "why": "worst by mel_error", "target": "audio/LJ001-0007-target.flac",
         "generated": "audio/LJ001-0007-generated.flac", "picture": "pictures/LJ001-0007.png",
         "mel_error": 0.31, "gain_db": -0.2, "correlation": 0.9}
    ],
    "words": {"target": "Recording", "generated": "Generated"},
    "costs": ["parameters", "macs_per_sample"]

A figure draws columns of metrics.csv by the words of its key; ``x`` is ``epoch``, ``step`` or left out: then
epochs if there are enough of them. ``levels`` are drawn right across, to hold the columns against. A chart
brings its values along (``charts``). A table shows columns as they were in the ``last`` or the ``best``
epoch. A clip has sounds and a picture, each optional, by paths inside the run directory; whatever else it
says in numbers is shown beside them. ``gain_db`` and ``correlation`` of all clips may stand in summary.json
itself. ``costs`` are facts of the submodels that their headline is drawn against, each the less the better
(of ``realtime_factor`` the more); the Pareto front is that over the first.
What does not fit is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from namexp.reading.plain import is_finite

X = Literal["epoch", "step"]
At = Literal["last", "best"]

# keys of summary.json
FIGURES, TABLES, CLIPS, WORDS, COSTS = "figures", "tables", "clips", "words", "costs"
MOST = 40  # figures, charts, tables or clips of a run that are shown

# What a model costs where its run does not say: computation, size, and time.
USUAL_COSTS = ("macs_per_sample", "parameters", "realtime_factor")


@dataclass(frozen=True)
class Figure:
    """A chart of columns.

    Attributes:
        title: unique among the run's figures; figures of several runs are compared by it.
        columns: word of the key to column of metrics.csv.
        x: None: whichever says more.
        log: whether the values are drawn by their logarithms.
        levels: word of the key to a value that the columns are held against.
    """

    title: str
    columns: Mapping[str, str]
    x: X | None = None
    log: bool = False
    levels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Values of columns.

    Attributes:
        title: unique among the run's tables.
        rows: name of the row to (head of the column to column of metrics.csv).
        at: which epoch.
    """

    title: str
    rows: Mapping[str, Mapping[str, str]]
    at: At = "last"


@dataclass(frozen=True)
class Clip:
    """Something to hear and to see.

    Attributes:
        name: for people.
        why: it is shown, such as "worst by mel_error".
        target, generated: sounds, as paths inside the run directory.
        picture: a PNG there.
        figures: whatever is known of it in numbers.
    """

    name: str
    why: str = ""
    target: str | None = None
    generated: str | None = None
    picture: str | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Words:
    """How a task calls what its page shows.

    Attributes:
        target: what should be heard.
        prediction: what a size of the model plays in its place, sample for sample.
        difference: between both.
        generated: what is heard in a clip.
        ratio: the energy of the difference over that of the target, of one second.
        no_sound: where a run has nothing to hear.
    """

    target: str = "Target"
    prediction: str = "Prediction"
    difference: str = "Difference"
    generated: str = "Generated"
    ratio: str = "error/signal"
    no_sound: str = "Nothing to hear: the run was made with callbacks.audio=false, or its task plays nothing."


USUAL = Words()
# Of runs that do not say what was learned: those from before there were several tasks.
WORDS_BEFORE = Words(
    target="Target (the amp)",
    ratio="ESR",
    no_sound="No listening material: the run was made with callbacks.audio=false, or by an earlier version.",
)

T = TypeVar("T")


def read_figures(said: Mapping[str, Any], damages: list[str]) -> tuple[Figure, ...]:
    """The figures that ``said`` declares; what cannot be drawn is named in ``damages``."""
    return each_of(said, FIGURES, _figure, damages)


def read_tables(said: Mapping[str, Any], damages: list[str]) -> tuple[Table, ...]:
    """Its tables."""
    return each_of(said, TABLES, _table, damages)


def read_clips(said: Mapping[str, Any], damages: list[str]) -> tuple[Clip, ...]:
    """Its clips; the files are looked for when they are shown."""
    return each_of(said, CLIPS, _clip, damages)


def read_words(said: Mapping[str, Any], damages: list[str]) -> Words:
    """Its words, the usual ones where it has none."""
    before = WORDS_BEFORE if "task" not in said else USUAL
    words = said.get(WORDS, {})
    if not isinstance(words, Mapping) or not all(isinstance(word, str) for word in words.values()):
        damages.append(f"summary.json: {WORDS}: must map names to texts")
        return before
    known = {name: word for name, word in words.items() if name in Words.__dataclass_fields__}
    return Words(**{**before.__dict__, **known})


def read_costs(said: Mapping[str, Any], damages: list[str]) -> tuple[str, ...]:
    """Facts that its headline is drawn against, the most telling first; the usual ones where it has none."""
    costs = said.get(COSTS, list(USUAL_COSTS))
    if not isinstance(costs, list) or not costs or not all(isinstance(name, str) for name in costs):
        damages.append(f"summary.json: {COSTS}: must be a list of names of facts")
        return USUAL_COSTS
    return tuple(dict.fromkeys(costs))


# --- one of each ----------------------------------------------------------------------------------


def each_of(
    said: Mapping[str, Any], key: str, read: Callable[[Mapping[str, Any]], T], damages: list[str]
) -> tuple[T, ...]:
    """Whatever can be read of a list; the rest is named in ``damages``. ``read`` raises ValueError."""
    entries, found = said.get(key), list[T]()
    if entries is not None and not isinstance(entries, list):
        damages.append(f"summary.json: {key}: must be a list")
    for i, entry in enumerate(entries[:MOST] if isinstance(entries, list) else []):
        try:
            if not isinstance(entry, Mapping):
                raise ValueError("must be a mapping")
            found.append(read(entry))
        except ValueError as error:
            damages.append(f"summary.json: {key}[{i}]: {error}")
    return tuple(found)


def _figure(entry: Mapping[str, Any]) -> Figure:
    x, log = entry.get("x"), flag_of(entry, "log")
    if x not in (None, "epoch", "step"):
        raise ValueError("x must be epoch or step")
    columns = _columns(entry.get("columns"), "columns")
    return Figure(text_of(entry, "title"), columns, x, log, levels_of(entry))


def _table(entry: Mapping[str, Any]) -> Table:
    rows, at = entry.get("rows"), entry.get("at", "last")
    if at not in ("last", "best"):
        raise ValueError("at must be last or best")
    if not isinstance(rows, Mapping) or not rows:
        raise ValueError("rows must map names to columns")
    return Table(
        text_of(entry, "title"), {str(name): _columns(row, f"rows.{name}") for name, row in rows.items()}, at
    )


def _clip(entry: Mapping[str, Any]) -> Clip:
    paths = {key: entry.get(key) for key in ("target", "generated", "picture")}
    for key, path in paths.items():
        if not isinstance(path, str | None):
            raise ValueError(f"{key} must be a path")
    why = entry.get("why", "")
    if not isinstance(why, str):
        raise ValueError("why must be a text")
    numbers = {name: float(value) for name, value in entry.items() if is_finite(value)}
    return Clip(text_of(entry, "name"), why, **paths, figures=numbers)


def text_of(entry: Mapping[str, Any], key: str) -> str:
    """A text that must be there."""
    text = entry.get(key)
    if not isinstance(text, str) or not text:
        raise ValueError(f"{key} must be a text")
    return text


def flag_of(entry: Mapping[str, Any], key: str) -> bool:
    """True or false; false where it is left out."""
    flag = entry.get(key, False)
    if not isinstance(flag, bool):
        raise ValueError(f"{key} must be true or false")
    return flag


def levels_of(entry: Mapping[str, Any]) -> Mapping[str, float]:
    """The levels of a figure or a chart; none where they are left out."""
    levels = entry.get("levels", {})
    if not isinstance(levels, Mapping) or not all(map(is_finite, levels.values())):
        raise ValueError("levels must map words to numbers")
    return {str(word): float(level) for word, level in levels.items()}


def _columns(columns: Any, place: str) -> Mapping[str, str]:
    if not isinstance(columns, Mapping) or not columns:
        raise ValueError(f"{place} must map words to columns of metrics.csv")
    if not all(isinstance(column, str) for column in columns.values()):
        raise ValueError(f"{place} must map words to columns of metrics.csv")
    return {str(word): column for word, column in columns.items()}

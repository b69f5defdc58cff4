"""Training logs of other programs, one CSV a run: brought to our column names and read as runs.

One kind is known so far: that of the homework whose report the vocoder's page follows (columns ``epoch, t,
total_loss, loss_gen1, ..., val_mean_disc2_on_fake``, a row an epoch; 1 is the multi-period, 2 the multi-scale
discriminator). One optimiser trained both networks there, so that its total holds the discriminators' losses
too: they are taken off. Such a run is looked at and never ranked: nobody knows how its mel was made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from namexp.comparison import adversarial
from namexp.comparison.columns import Columns, Point, drawn, filled, parsed
from namexp.comparison.declared import FIGURES, TABLES, read_figures, read_tables
from namexp.comparison.diagnosis import diagnose
from namexp.comparison.records import Run
from namexp.errors import UserError
from namexp.reading.csv_rows import read_rows

LOG = "log"  # the state of a run of another program
SUFFIX = ".csv"

NUMBERS = {"mpd": "1", "msd": "2"}
TOTAL = "total_loss"
PREFIXES = {"": "train", "val_": "val"}  # of their columns to that of ours


def is_log(path: Path) -> bool:
    """Whether ``path`` is meant as such a log: a CSV file."""
    return path.is_file() and path.suffix.lower() == SUFFIX


def read_log(path: Path, label: str) -> Run:
    """Read ``path``.

    Raises:
        UserError: it is unreadable, or no log that is known.
    """
    rows = read_rows(path)
    columns = _columns(rows)
    if not columns:
        raise UserError(
            f"{path}: is no training log that is known: it needs a row an epoch and the columns epoch, "
            f"{TOTAL}, loss_gen1, loss_gen2, loss_mel, ..., and for the validation the same with val_."
        )
    damages: list[str] = []  # what we declare ourselves is sound
    declared = {FIGURES: list(adversarial.FIGURES), TABLES: list(adversarial.TABLES)}
    return Run(
        root=path.resolve(),
        label=label,
        state=LOG,
        reason="a log of another program: looked at, not ranked",
        epochs=len(rows),
        seconds_training=_seconds(rows),
        figures=drawn(read_figures(declared, damages), columns),
        tables=filled(read_tables(declared, damages), columns, None),
        diagnosis=diagnose(columns),
    )


def _theirs() -> dict[str, str]:
    """Their name, without the stage, to ours."""
    found = {adversarial.MEL: adversarial.MEL}
    for own, number in NUMBERS.items():
        found.update({f"loss_{part}{number}": adversarial.loss(part, own) for part in adversarial.LOSSES})
        found.update({f"mean_disc{number}_on_{of}": adversarial.mean(own, of) for of in ("real", "fake")})
    return found


def _columns(rows: list[dict[str, str]]) -> Columns:
    """By our names; empty where none of theirs is there."""
    columns: dict[str, list[Point]] = {}
    for row in rows:
        epoch = parsed(row.get("epoch"))
        if epoch is None or not math.isfinite(epoch):
            continue
        values = _totals(row)
        for theirs, ours in _theirs().items():
            for prefix, stage in PREFIXES.items():
                values[f"{stage}/{ours}"] = parsed(row.get(f"{prefix}{theirs}"))
        values["train/grad_norm"] = parsed(row.get("grad_norm"))
        values["train/lr"] = parsed(row.get("lr"))
        for name, value in values.items():
            if value is not None:
                columns.setdefault(name, []).append(Point(epoch, None, value))
    return columns if any("loss" in name for name in columns) else {}


def _totals(row: Mapping[str, str]) -> dict[str, float | None]:
    """Of the discriminators, and of the generator without them."""
    found: dict[str, float | None] = {}
    for prefix, stage in PREFIXES.items():
        total = parsed(row.get(f"{prefix}{TOTAL}"))
        parts = [parsed(row.get(f"{prefix}loss_disc{number}")) for number in NUMBERS.values()]
        known = [part for part in parts if part is not None]
        found[f"{stage}/{adversarial.TOTAL_D}"] = sum(known) if known else None
        found[f"{stage}/{adversarial.TOTAL_G}"] = None if total is None else total - sum(known)
    return found


def _seconds(rows: list[dict[str, str]]) -> float | None:
    """From the end of the first epoch to that of the last, and one more; None without times."""
    if len(rows) < 2:
        return None
    try:
        first, last = (datetime.fromisoformat(rows[i]["t"]) for i in (0, -1))
    except (KeyError, TypeError, ValueError):
        return None
    return (last - first).total_seconds() * len(rows) / (len(rows) - 1)

"""Columns of an adversarial training of a vocoder by their names, and how they are usually shown.

A task whose metrics.csv has them may declare ``FIGURES`` and ``TABLES`` as they are (what it does not have is
not drawn); a run that has them and came to no summary is shown so. A log of another program is brought to
these names (``foreign``), and ``diagnosis`` reads them.
The losses are unweighted: feature matching without its factor 2, mel without its 45.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# of each kind of discriminator: in columns, for people
DISCRIMINATORS = {"mpd": "multi-period", "msd": "multi-scale"}
STAGES = {"train": "train", "validation": "val"}  # head of a table's column to prefix of a column

LOSSES = ("gen", "fm", "disc")  # loss_<this>_<discriminator>
MEL, TOTAL_G, TOTAL_D = "loss_mel", "total_loss_g", "total_loss_d"


def loss(part: str, discriminator: str) -> str:
    """``loss_gen_mpd`` and its like, without the stage."""
    return f"loss_{part}_{discriminator}"


def mean(discriminator: str, of: str) -> str:
    """``mean_mpd_on_real`` and its like; ``of`` is real or fake."""
    return f"mean_{discriminator}_on_{of}"


def names() -> tuple[str, ...]:
    """Every name without its stage."""
    parts = [loss(part, own) for own in DISCRIMINATORS for part in LOSSES]
    means = [mean(own, of) for own in DISCRIMINATORS for of in ("real", "fake")]
    return (TOTAL_G, TOTAL_D, MEL, *parts, *means)


def _staged(name: str) -> dict[str, str]:
    return {head: f"{stage}/{name}" for head, stage in STAGES.items()}


def _figure(title: str, columns: dict[str, str], *, log: bool = False) -> dict[str, Any]:
    return {"title": title, "columns": columns, "log": log}


def _outputs(discriminator: str) -> dict[str, str]:
    return {
        f"{of}, {head}": f"{stage}/{mean(discriminator, of)}"
        for of in ("real", "fake")
        for head, stage in STAGES.items()
    }


def _of_networks(column: str) -> dict[str, str]:
    """Of one optimiser for each network, or of one for both."""
    return {"generator": f"{column}_g", "discriminators": f"{column}_d", "both": column}


PARTS = {  # name of a part of the losses to its title
    MEL: "Mel loss (L1)",
    **{loss("gen", own): f"Generator against {own.upper()}" for own in DISCRIMINATORS},
    **{loss("fm", own): f"Feature matching, {own.upper()}" for own in DISCRIMINATORS},
    **{loss("disc", own): f"Discriminator loss, {own.upper()}" for own in DISCRIMINATORS},
}

FIGURES: tuple[dict[str, Any], ...] = (
    _figure("Total loss of the generator", _staged(TOTAL_G), log=True),
    _figure("Total loss of the discriminators", _staged(TOTAL_D), log=True),
    _figure("Learning rate", _of_networks("train/lr"), log=True),
    _figure("Gradient norm", _of_networks("train/grad_norm"), log=True),
    *(_figure(f"Mean output of {own.upper()}", _outputs(own)) for own in DISCRIMINATORS),
    *(_figure(title, _staged(name), log=True) for name, title in PARTS.items()),
)

TABLES: tuple[dict[str, Any], ...] = (
    {
        "title": "Mean output of the discriminators",
        "rows": {
            f"{own.upper()} on {of}": _staged(mean(own, of))
            for own in DISCRIMINATORS
            for of in ("real", "fake")
        },
    },
    {
        "title": "Losses of the generator",
        "rows": {
            **{title: _staged(name) for name, title in PARTS.items() if not name.startswith("loss_disc")},
            "Total": _staged(TOTAL_G),
        },
    },
)


def has_any(columns: Iterable[str]) -> bool:
    """Whether any of the columns is one of these."""
    return not {f"{stage}/{name}" for stage in STAGES.values() for name in names()}.isdisjoint(columns)

"""What the page draws of a density besides its sheets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIGURES = (
    {"title": "Bits per dimension", "columns": {"train": "train/bpd", "validation": "bpd"}},
    {
        "title": "Parts of the log-likelihood, in bits per dimension",
        "columns": {
            "log-determinant, train": "train/log_determinant",
            "log-determinant, validation": "val/log_determinant",
            "prior, train": "train/log_prior",
            "prior, validation": "val/log_prior",
        },
    },
)
WORDS = {"no_sound": "Nothing to hear: this is a density of images."}


def page() -> Mapping[str, Any]:
    """Parts of summary.json."""
    return {"figures": [dict(figure) for figure in FIGURES], "words": WORDS}

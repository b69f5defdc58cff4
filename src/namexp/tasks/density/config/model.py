"""The group ``model``: the sizes of a Glow, and what its steps share."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from namexp.architectures.glow import ESTIMATORS, GlowSpec, check_glow
from namexp.errors import UserError, did_you_mean
from namexp.schema.fields import Fields, as_integer, shown


@dataclass
class GlowModel:
    """``model.kind=glow``."""

    kind: str
    image_size: int
    levels: int
    steps: int
    hidden_channels: int
    estimator: str
    embedding_channels: int

    def __post_init__(self) -> None:
        """Every number, and that they fit each other."""
        values = {field.name: getattr(self, field.name) for field in fields(GlowSpec)}
        self.spec: GlowSpec = parse_glow(values, "model")


def parse_glow(values: Any, place: str) -> GlowSpec:
    """A Glow given as plain values.

    Raises:
        UserError: the first value that is missing, of the wrong type or out of range, or does not fit the
            others.
    """
    read = Fields(values, place)
    sizes = {
        name: read.integer(name, minimum=1) for name in ("image_size", "levels", "steps", "hidden_channels")
    }
    embedding = as_integer(read.raw("embedding_channels"), read.where("embedding_channels"), minimum=0)
    named = read.text("estimator")
    found = next((known for known in ESTIMATORS if known == named), None)
    if found is None:
        raise UserError(
            f"{read.where('estimator')} (= {shown(named)}) is unknown{did_you_mean(named, ESTIMATORS)}"
        )
    read.finish()
    spec = GlowSpec(**sizes, estimator=found, embedding_channels=embedding)
    check_glow(spec, place)
    return spec

"""The ``data`` group: which recording, and how it is cut and scaled."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import Fields, as_integer, is_list, is_number, shown

GREATEST_GAIN_DB = 120.0  # beyond it a level is a slip, not a wish
PAIR_USES = ("both", "train", "validation")


@dataclass(frozen=True)
class PairPlan:
    """One recording: input and target file (None, None: the embedded one) and its range.

    ``delay`` in samples, positive where the target is later. Start and stop are in seconds or
    in samples of the input, negative from the end; ``use`` says what the pair serves for.
    """

    input: str | None
    target: str | None
    delay: int = 0
    start_seconds: float | None = None
    stop_seconds: float | None = None
    start_samples: int | None = None
    stop_samples: int | None = None
    validation_seconds: float = 9.0
    use: str = "both"


@dataclass
class DataConfig:
    """The whole group; ``pairs`` replaces ``input`` and ``target``."""

    input: Any
    target: Any
    pairs: Any
    delay: Any
    start_seconds: Any
    stop_seconds: Any
    start_samples: Any
    stop_samples: Any
    validation_seconds: float
    sample_rate: Any
    ny: int
    batch_size: int
    input_gain_db: float
    target_scale: float
    level_rms_dbfs: Any
    allow_unequal_lengths: bool

    def __post_init__(self) -> None:
        """Check ranges and that either files, pairs or neither are given."""
        _positive("data.ny", self.ny)
        _positive("data.batch_size", self.batch_size)
        _positive("data.validation_seconds", self.validation_seconds)
        if not abs(self.input_gain_db) <= GREATEST_GAIN_DB:  # NaN too
            raise UserError(
                f"data.input_gain_db (= {self.input_gain_db:g}) must lie between -{GREATEST_GAIN_DB:g} and "
                f"{GREATEST_GAIN_DB:g}."
            )
        if not is_number(self.target_scale) or self.target_scale == 0:
            raise UserError(f"data.target_scale (= {self.target_scale}) must be finite and not 0.")
        if self.sample_rate is not None:
            self.sample_rate = as_integer(self.sample_rate, "data.sample_rate", minimum=1)
        if self.level_rms_dbfs is not None:
            if not is_number(self.level_rms_dbfs):
                raise UserError(
                    f"data.level_rms_dbfs (= {shown(self.level_rms_dbfs)}) must be a level in dB, "
                    "such as -18.0, or null for the recording as it is."
                )
            if not -GREATEST_GAIN_DB <= self.level_rms_dbfs <= 0:
                raise UserError(
                    f"data.level_rms_dbfs (= {self.level_rms_dbfs:g}) must lie between -{GREATEST_GAIN_DB:g} "
                    "and 0 dBFS; -18 is usual."
                )
            self.level_rms_dbfs = float(self.level_rms_dbfs)
        self.recordings = self._recordings()

    @property
    def embedded(self) -> bool:
        """Whether the recording that namexp synthesises is used."""
        return self.recordings[0].input is None

    def _recordings(self) -> tuple[PairPlan, ...]:
        if self.pairs is not None:
            if self.input is not None or self.target is not None:
                raise UserError(
                    f"data.pairs and data.input (= {shown(self.input)}) are both given; keep one of them."
                )
            for key in ("start_seconds", "stop_seconds", "start_samples", "stop_samples"):
                if getattr(self, key) is not None:
                    raise UserError(
                        f"data.{key} (= {shown(getattr(self, key))}) has no effect with data.pairs; give "
                        "it in the pair that it belongs to."
                    )
            if not is_list(self.pairs) or not self.pairs:
                raise UserError(f"data.pairs (= {shown(self.pairs)}) must be a list of {{input, target}}.")
            pairs = tuple(self._pair(item, f"data.pairs[{i}]") for i, item in enumerate(self.pairs))
            for use in ("train", "validation"):
                if not any(pair.use in ("both", use) for pair in pairs):
                    raise UserError(f"data.pairs has no recording for {use}; set use: both or {use}.")
            return pairs
        given = {"input": self.input, "target": self.target}
        if (self.input is None) != (self.target is None):
            have, lack = sorted(given, key=lambda key: given[key] is None)
            raise UserError(
                f"data.{have} (= {given[have]}) is given without data.{lack}; give both files, or "
                "neither for the embedded recording."
            )
        keys = {f.name for f in fields(PairPlan)} - {"use"}
        return (self._pair({key: getattr(self, key) for key in keys}, "data"),)

    def _pair(self, item: Any, place: str) -> PairPlan:
        section = Fields(item, place)
        below_pairs = place != "data"
        pair = PairPlan(
            input=_file(section, "input", required=below_pairs),
            target=_file(section, "target", required=below_pairs),
            delay=section.integer("delay", _whole(self.delay, "data.delay")),
            start_seconds=_optional(section, "start_seconds"),
            stop_seconds=_optional(section, "stop_seconds"),
            start_samples=section.integer("start_samples", None),
            stop_samples=section.integer("stop_samples", None),
            validation_seconds=section.number("validation_seconds", self.validation_seconds),
            use=section.choice("use", PAIR_USES, "both"),
        )
        section.finish()
        _positive(section.where("validation_seconds"), pair.validation_seconds)
        for end in ("start", "stop"):
            if None not in (getattr(pair, f"{end}_seconds"), getattr(pair, f"{end}_samples")):
                raise UserError(f"{section.where(end)}_seconds and {end}_samples are both given; keep one.")
        return pair


def _file(section: Fields, key: str, *, required: bool) -> str | None:
    return os.path.expanduser(section.text(key)) if required or section.has(key) else None


def _optional(section: Fields, key: str) -> float | None:
    return section.number(key) if section.has(key) else None


def _whole(value: Any, place: str) -> int:
    return 0 if value is None else as_integer(value, place)


def _positive(place: str, value: float) -> None:
    if not is_number(value) or value <= 0:
        raise UserError(f"{place} (= {value}) must be above 0.")

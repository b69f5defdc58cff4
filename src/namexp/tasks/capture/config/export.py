"""The group ``export``: thresholds and metadata of the exported file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError
from namexp.schema.experiment import check_text
from namexp.schema.fields import Fields
from namexp.tasks.capture.config.thresholds import check_thresholds_setting

GEAR_TYPES = ("amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio")
TONE_TYPES = ("clean", "overdrive", "crunch", "hi_gain", "fuzz")


@dataclass
class ExportConfig:
    """The exported file: thresholds of a container and metadata that only a person knows."""

    container_max_values: Any
    metadata: dict[str, Any]

    def __post_init__(self) -> None:
        """The setting's form; whether it fits the submodels is checked with them."""
        check_thresholds_setting(self.container_max_values, "export.container_max_values")
        self.metadata = check_user_metadata(self.metadata, "export.metadata")


def check_user_metadata(metadata: Any, place: str) -> dict[str, Any]:
    """The fields of a file's metadata that people set, without those left null.

    Raises:
        UserError: an unknown field, gear or tone type, or a level that is not a number.
    """
    check_text(metadata, place)
    fields = Fields(metadata, place)
    result: dict[str, Any] = {}
    for key in ("name", "modeled_by", "gear_make", "gear_model"):
        if fields.has(key):
            result[key] = str(fields.raw(key))
    for key, options in (("gear_type", GEAR_TYPES), ("tone_type", TONE_TYPES)):
        if fields.has(key):
            result[key] = fields.choice(key, options)
    for key in ("input_level_dbu", "output_level_dbu"):
        if fields.has(key):
            result[key] = fields.number(key)
    fields.finish()
    return result


def metadata_of(pairs: Sequence[str], place: str) -> dict[str, Any]:
    """``KEY=VALUE`` of a command line as fields; what they mean is checked with the others.

    Raises:
        UserError: one of them is no pair.
    """
    result: dict[str, Any] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise UserError(f"{place} (= {pair}) must be KEY=VALUE.")
        result[key] = _number(value) if key.endswith("_dbu") else value
    return result


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text  # refused by name later

"""One group of a config as an object of its class."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from namexp.errors import UserError, one_line
from namexp.reading.yaml_text import INTERPOLATION
from namexp.schema.fields import Fields, is_list, shown

G = TypeVar("G")


def parse_group(name: str, values: Any, cls: type[G]) -> G:
    """``values`` as an object of ``cls``, a dataclass, with every key and type checked.

    Raises:
        UserError: a key that is misspelt or missing, or a value of the wrong type or out of range.
    """
    fields = Fields(values, name)
    known = dataclasses.fields(cls)  # type: ignore[arg-type]
    for field in known:
        fields.raw(field.name, None)
    fields.finish()
    # one with a default joined later: the config.yaml of older runs lacks it
    required = [field.name for field in known if field.default is dataclasses.MISSING]
    missing = [key for key in required if key not in values]
    if missing:
        raise UserError(f"{name}.{missing[0]} is missing; add it to conf/{name}.")
    _refuse_unusable(values, name)
    try:
        typed = OmegaConf.merge(OmegaConf.structured(cls), values)
    except OmegaConfBaseException as error:
        key = error.full_key or ""
        value = values.get(key.split(".")[0]) if key else values
        raise UserError(f"{name}.{key} (= {shown(value)}): {reason(error)}") from None
    checked = OmegaConf.to_container(typed, resolve=False)
    assert isinstance(checked, dict)
    return cls(**{str(key): value for key, value in checked.items()})


def _refuse_unusable(value: Any, place: str) -> None:
    """Values are as they are meant when they come here: nothing is looked up for a file of a stranger.

    Raises:
        UserError: one refers to something, or is an integer that no number of a machine holds.
    """
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UserError(
            f"{place} (= {shown(value)}) is too large: no setting takes an integer beyond 64 bits."
        )
    if isinstance(value, str) and INTERPOLATION in value:
        raise UserError(
            f"{place} (= {shown(value)}) holds '{INTERPOLATION}', which is left open; write the value."
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_unusable(item, f"{place}.{key}")
    elif is_list(value):
        for i, item in enumerate(value):
            _refuse_unusable(item, f"{place}[{i}]")


def reason(error: OmegaConfBaseException) -> str:
    """What OmegaConf says, without where: that is said already."""
    return one_line(error).split(" full_key:")[0][:300]  # it repeats the value, whatever its length

"""The activations that the C++ runtime knows, and their parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError, did_you_mean
from namexp.schema.fields import Fields, is_list, is_number, shown

# The fixed parameters of each type with the defaults of torch (and of the peer, for
# LeakyHardtanh). PReLU is apart: its slopes are learned.
FIXED_PARAMETERS: dict[str, dict[str, float]] = {
    "Tanh": {},
    "Hardtanh": {"min_val": -1.0, "max_val": 1.0},
    "Fasttanh": {},
    "ReLU": {},
    "LeakyReLU": {"negative_slope": 0.01},
    "PReLU": {},
    "Sigmoid": {},
    "SiLU": {},
    "Hardswish": {},
    "LeakyHardtanh": {"min_val": -1.0, "max_val": 1.0, "min_slope": 0.01, "max_slope": 0.01},
    "Softsign": {},
}
SPELT_OTHERWISE = {"LeakyHardTanh": "LeakyHardtanh"}  # in files
SLOPES = ("negative_slope", "negative_slopes")
PRELU_TRAINING_SLOPE = 0.25  # torch.nn.PReLU's initial value
PRELU_FILE_SLOPE = 0.01  # what the C++ runtime takes when a file gives none


@dataclass(frozen=True)
class ActivationSpec:
    """One activation: its type, its fixed parameters, and for PReLU the initial slopes.

    ``slopes`` is empty unless ``type`` is PReLU; one entry is shared by all channels.
    """

    type: str
    parameters: tuple[tuple[str, float], ...] = ()
    slopes: tuple[float, ...] = ()

    @property
    def learned(self) -> bool:
        """Whether training changes it."""
        return self.type == "PReLU"

    def get(self, name: str) -> float:
        """The fixed parameter ``name``."""
        return dict(self.parameters)[name]

    def to_config(self) -> dict[str, Any]:
        """The form that a ``.nam`` file of version 0.7.0 holds."""
        config: dict[str, Any] = {"type": self.type, **dict(self.parameters)}
        if len(self.slopes) == 1:
            config["negative_slope"] = self.slopes[0]
        elif self.slopes:
            config["negative_slopes"] = list(self.slopes)
        return config


def parse_activation(
    value: Any, place: str, *, channels: int, default_slope: float, strict: bool
) -> ActivationSpec:
    """Read ``"Tanh"`` or ``{type: LeakyReLU, negative_slope: 0.1}``.

    Args:
        value: the name, or a mapping with ``type`` (in training configs also ``name``).
        place: where it stands, for errors.
        channels: what a per-channel PReLU has one slope for.
        default_slope: of a PReLU that names none.
        strict: refuse unknown parameters, as for a training config; a file may carry them.

    Raises:
        UserError: unknown type or parameter, or a value that is not a number.
    """
    if isinstance(value, str):
        value = {"type": value}
    fields = Fields(value, place)
    if strict and fields.has("type") and fields.has("name"):
        raise UserError(f"{place} (= {shown(value)}) gives both type and name; keep one of them.")
    type_ = fields.text("type") if fields.has("type") or not strict else fields.text("name")
    if not strict:
        type_ = SPELT_OTHERWISE.get(type_, type_)
    if type_ not in FIXED_PARAMETERS:
        raise UserError(
            f"{place} (= {shown(type_)}) is not an activation that the C++ runtime plays"
            f"{did_you_mean(type_, FIXED_PARAMETERS)}"
        )
    null = [key for key in (*FIXED_PARAMETERS[type_], *SLOPES) if fields.mapping.get(key, 0) is None]
    if null and not strict:
        raise UserError(
            f"{fields.where(null[0])} (= null) must be a number; leave the key out for the default."
        )
    parameters = tuple(
        (name, fields.number(name, default)) for name, default in FIXED_PARAMETERS[type_].items()
    )
    limits = dict(parameters)
    if "max_val" in limits and limits["max_val"] <= limits["min_val"]:
        raise UserError(
            f"{place}: max_val (= {limits['max_val']:g}) must be above min_val (= {limits['min_val']:g})."
        )
    slopes: tuple[float, ...] = ()
    if type_ == "PReLU":
        slopes = _prelu_slopes(fields, channels=channels, default_slope=default_slope)
    if strict:
        fields.has("name")
        fields.finish()
    return ActivationSpec(type_, parameters, slopes)


def _prelu_slopes(fields: Fields, *, channels: int, default_slope: float) -> tuple[float, ...]:
    """Slopes from the runtime's names, or from torch's ``num_parameters`` and ``init``."""
    if fields.has("negative_slopes"):
        slopes = fields.raw("negative_slopes")
        if not is_list(slopes) or not slopes or not all(map(is_number, slopes)):
            raise UserError(
                f"{fields.where('negative_slopes')} (= {shown(slopes)}) must be a list of numbers."
            )
        if len(slopes) not in (1, channels):
            raise UserError(
                f"{fields.where('negative_slopes')} has {len(slopes)} entries and the layer has "
                f"{channels} channels; give one slope or one for each channel."
            )
        return tuple(float(s) for s in slopes)
    slope = fields.number("negative_slope", fields.number("init", default_slope))
    count = fields.integer("num_parameters", 1, minimum=1)
    if fields.boolean("per_channel", False):
        count = channels
    if count not in (1, channels):
        raise UserError(
            f"{fields.where('num_parameters')} (= {count}) must be 1 or the number of channels "
            f"(= {channels}); 'per_channel: true' follows the channels."
        )
    return (slope,) * count

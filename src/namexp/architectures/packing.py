"""Which WaveNets may be trained as one pack.

Source: the packed-training document of neural-amp-modeler, "Compatibility requirements" and
"Unsupported combinations". Every message names both submodels, both values and the fix.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from namexp.architectures.wavenet import FILM_SITES, LayerArraySpec, LayerSpec, WaveNetSpec
from namexp.errors import UserError
from namexp.schema.fields import shown


class Submodel(NamedTuple):
    """One member of a pack."""

    name: str
    spec: WaveNetSpec


def packed_suffixes(num_submodels: int) -> tuple[str, ...]:
    """What a metric's name gets for each submodel: ``_packed_0``, ``_packed_1``, ..."""
    return tuple(f"_packed_{i}" for i in range(num_submodels))


def check_pack(submodels: Sequence[Submodel]) -> None:
    """Refuse submodels that cannot share one pack.

    Args:
        submodels: from small to large.

    Raises:
        UserError: the first requirement that is not met.
    """
    if not submodels:
        raise UserError("model.submodels is empty; a pack needs at least one submodel.")
    _check_names(submodels)
    for submodel in submodels:
        _check_supported(submodel)
    for other in submodels[1:]:
        _check_compatible(submodels[0], other)
    _check_order(submodels)


def _check_names(submodels: Sequence[Submodel]) -> None:
    seen: dict[str, int] = {}
    for i, submodel in enumerate(submodels):
        if not submodel.name.strip():
            raise UserError(f"model.submodels[{i}].name is empty; give it a name.")
        if submodel.name in seen:
            raise UserError(
                f"model.submodels[{seen[submodel.name]}] and model.submodels[{i}] are both named "
                f"'{submodel.name}'; names tell submodels apart, so give them different ones."
            )
        seen[submodel.name] = i


def _check_order(submodels: Sequence[Submodel]) -> None:
    for before, after in itertools.pairwise(submodels):
        if after.spec.macs_per_sample < before.spec.macs_per_sample:
            raise UserError(
                f"packed submodels '{before.name}' ({before.spec.macs_per_sample} MACs per sample) "
                f"and '{after.name}' ({after.spec.macs_per_sample}) are listed from large to small; "
                "list them from small to large: the quality knob goes up."
            )


# --- what a pack does not support, in any submodel ------------------------------------------------

_ALONE = "train it separately with model=wavenet"
_UNSUPPORTED_IN_ARRAY: list[tuple[str, Callable[[LayerArraySpec], Any], str]] = [
    ("groups_input", lambda a: a.groups_input != 1 and a.groups_input, "grouped convolutions"),
    (
        "groups_input_mixin",
        lambda a: a.groups_input_mixin != 1 and a.groups_input_mixin,
        "grouped convolutions",
    ),
    (
        "layer1x1.groups",
        lambda a: a.layer1x1.active and a.layer1x1.groups != 1 and a.layer1x1.groups,
        "grouped layer1x1",
    ),
    (
        "head1x1.groups",
        lambda a: a.head1x1.active and a.head1x1.groups != 1 and a.head1x1.groups,
        "grouped head1x1",
    ),
    (
        "gating_mode",
        lambda a: next((layer.gating_mode for layer in a.layers if layer.paired), None),
        "paired or gated activations",
    ),
    (
        "slimmable",
        lambda a: a.slimmable and (a.slimmable.allowed_channels or "all channels"),
        "channel slicing inside a pack",
    ),
    (
        "condition_size",
        lambda a: a.condition_size != 1 and a.condition_size,
        "multi-channel conditioning audio",
    ),
]


def _check_supported(submodel: Submodel) -> None:
    name, spec = submodel
    if spec.condition_dsp is not None:
        _refuse(name, "condition_dsp", spec.condition_dsp.architecture, "a condition_dsp")
    if spec.head is not None:
        _refuse(name, "head", f"kernel_sizes {list(spec.head.kernel_sizes)}", "a top-level head")
    if spec.layer_arrays[0].input_size != 1:
        value = spec.layer_arrays[0].input_size
        _refuse(name, "layer_arrays[0].input_size", value, "multi-channel input")
    if spec.out_channels != 1:
        _refuse(name, "layer_arrays[-1].head.out_channels", spec.out_channels, "more than one output")
    for i, array in enumerate(spec.layer_arrays):
        for key, value_of, feature in _UNSUPPORTED_IN_ARRAY:
            value = value_of(array)
            if value:
                _refuse(name, f"layer_arrays[{i}].{key}", value, feature)
        for site in FILM_SITES:
            if array.film(site).active:
                _refuse(name, f"layer_arrays[{i}].{site}", "active", "FiLM")


def _refuse(name: str, key: str, value: Any, feature: str) -> None:
    raise UserError(
        f"packed submodel '{name}' has {key} (= {value}): packed training does not support {feature}; "
        f"leave it out of the pack, or {_ALONE}."
    )


# --- what must be equal between submodels -----------------------------------------------------------


def _activations(layers: Sequence[LayerSpec]) -> list[tuple[Any, ...]]:
    # Slopes of a PReLU are learned, each submodel its own; per channel or shared must agree.
    return [
        (a.type, *(v for _, v in a.parameters), len(a.slopes) > 1)
        for a in (layer.activation for layer in layers)
    ]


_EQUAL_IN_ARRAY: list[tuple[str, Callable[[LayerArraySpec], Any]]] = [
    ("number of layers", lambda a: len(a.layers)),
    ("kernel_sizes", lambda a: [layer.kernel_size for layer in a.layers]),
    ("dilations", lambda a: [layer.dilation for layer in a.layers]),
    ("activation", lambda a: _activations(a.layers)),
    ("condition_size", lambda a: a.condition_size),
    ("head.kernel_size", lambda a: a.head.kernel_size),
    ("head.bias", lambda a: a.head.bias),
    ("layer1x1.active", lambda a: a.layer1x1.active),
    ("head1x1.active", lambda a: a.head1x1.active),
]


def _check_compatible(first: Submodel, other: Submodel) -> None:
    a, b = first.spec, other.spec
    _require_equal(first, other, "number of layer arrays", len(a.layer_arrays), len(b.layer_arrays))
    _require_equal(first, other, "head_scale", a.head_scale, b.head_scale)
    for i, arrays in enumerate(zip(a.layer_arrays, b.layer_arrays, strict=True)):
        for key, value_of in _EQUAL_IN_ARRAY:
            values = [value_of(array) for array in arrays]
            if key == "activation" and values[0] != values[1]:
                # print what the user wrote, not the tuple that is compared
                differ = next(j for j, (x, y) in enumerate(zip(*values, strict=True)) if x != y)
                values = [array.layers[differ].activation.to_config() for array in arrays]
                key = f"activation of layer {differ}"
            _require_equal(first, other, f"layer_arrays[{i}] {key}", *values)


def _require_equal(first: Submodel, other: Submodel, key: str, a: Any, b: Any) -> None:
    if a != b:
        raise UserError(
            f"packed submodels '{first.name}' and '{other.name}' differ in {key}: {shown(a)} and "
            f"{shown(b)}; give both the same value, or train them separately with model=wavenet."
        )

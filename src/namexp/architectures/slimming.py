"""Which WaveNets may be trained by channel slicing, as the C++ runtime plays them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from namexp.architectures.wavenet import FILM_SITES, LayerArraySpec, SlimmableSpec, WaveNetSpec
from namexp.errors import UserError


def width_suffixes(widths: Sequence[int]) -> tuple[str, ...]:
    """What a metric's name gets for each width: ``_channels_3``, ``_channels_12``, ..."""
    return tuple(f"_channels_{width}" for width in widths)


def check_allowed_channels(allowed: tuple[int, ...], channels: int, place: str) -> None:
    """Widths must ascend and end at the full width: the runtime refuses a file otherwise."""
    if list(allowed) != sorted(set(allowed)) or allowed[0] < 1:
        raise UserError(
            f"{place} (= {list(allowed)}) must be strictly ascending and positive: list the allowed "
            "channels from small to large, each once."
        )
    if allowed[-1] != channels:
        raise UserError(f"{place} (= {list(allowed)}) must end with the full width (= {channels} channels).")


def check_sliceable(spec: WaveNetSpec, place: str) -> None:
    """Refuse features that slicing does not train or that the runtime slices differently.

    Raises:
        UserError: names the feature and its value.
    """
    slimmable = [a for a in spec.layer_arrays if a.slimmable]
    if not slimmable:
        return
    if len(spec.layer_arrays) > 1:
        _refuse(place, "layer_arrays", f"{len(spec.layer_arrays)} arrays", "more than one layer array")
    if spec.condition_dsp is not None:
        _refuse(place, "condition_dsp", spec.condition_dsp.architecture, "a condition_dsp")
    if spec.head is not None:
        _refuse(place, "head", list(spec.head.kernel_sizes), "a top-level head")
    _check_array(spec.layer_arrays[0], place)


def _check_array(array: LayerArraySpec, place: str) -> None:
    groups = {
        "groups_input": array.groups_input,
        "groups_input_mixin": array.groups_input_mixin,
        "layer1x1.groups": array.layer1x1.groups,
    }
    for key, value in groups.items():
        if value != 1:
            _refuse(place, key, value, "grouped convolutions")
    if array.head1x1.active:
        _refuse(place, "head1x1", "active", "head1x1")
    for site in FILM_SITES:
        if array.film(site).active:
            _refuse(place, site, "active", "FiLM")
    if array.head.kernel_size != 1:
        _refuse(place, "head.kernel_size", array.head.kernel_size, "a head kernel longer than 1")
    if array.bottleneck != array.channels:
        _refuse(place, "bottleneck", array.bottleneck, "a bottleneck other than the channels")
    for layer in array.layers:
        for key in ("activation", "secondary_activation"):
            activation = getattr(layer, key)
            if activation is not None and len(activation.slopes) > 1:
                _refuse(place, key, "PReLU per channel", "slopes that would have to be sliced")
    assert array.slimmable is not None
    check_allowed_channels(array.slimmable.widths(array.channels), array.channels, f"{place}channels")


def _refuse(place: str, key: str, value: object, feature: str) -> None:
    raise UserError(
        f"{place}{key} (= {value}): channel slicing does not support {feature}; leave it out, or use "
        "model=wavenet or model=packed_wavenet."
    )


def slimmed(array: LayerArraySpec, allowed: tuple[int, ...]) -> SlimmableSpec:
    """The slicing of ``array`` to the widths ``allowed``."""
    check_allowed_channels(allowed, array.channels, "model.channels")
    return SlimmableSpec(allowed)


def sliced_spec(spec: WaveNetSpec, width: int) -> WaveNetSpec:
    """The ordinary WaveNet that a slimmable one is at ``width`` channels."""
    (array,) = spec.layer_arrays
    sliced: LayerArraySpec = replace(array, channels=width, bottleneck=width, slimmable=None)
    return replace(spec, layer_arrays=(sliced,))

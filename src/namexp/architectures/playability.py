"""Networks that the known C++ runtime (0.5.5) would refuse or play differently.

They are refused by name before training, so that nobody learns it from a plugin. What is only
fixed in later versions of the runtime is exported with a notice.
"""

from __future__ import annotations

import logging

from namexp.architectures.activation import ActivationSpec
from namexp.architectures.slimming import check_sliceable
from namexp.architectures.wavenet import LayerArraySpec, WaveNetSpec
from namexp.errors import UserError

log = logging.getLogger(__name__)


def check_playable(spec: WaveNetSpec, place: str) -> None:
    """Refuse what the runtime would not play as the network does.

    Raises:
        UserError: names the feature, its value and the way out.
    """
    for i, array in enumerate(spec.layer_arrays):
        _check_array(array, f"{place}layer_arrays[{i}]")
        if i > 0:
            _check_head_path(spec.layer_arrays[i - 1], array, i, place)
    if spec.head is not None:
        _check_top_head(spec.head.activation, f"{place}head")
    check_sliceable(spec, place)
    if isinstance(spec.condition_dsp, WaveNetSpec):
        check_playable(spec.condition_dsp, f"{place}condition_dsp.")


def notices(spec: WaveNetSpec) -> list[str]:
    """What is exported although an older runtime plays it differently."""
    found = []
    for i, array in enumerate(spec.layer_arrays):
        unblended = any(layer.gating_mode != "blended" for layer in array.layers)
        if array.film("layer1x1_post_film").active and unblended:
            found.append(
                f"layer_arrays[{i}].layer1x1_post_film is skipped by version 0.5.5 of the C++ runtime "
                "outside gating_mode blended; later versions play it."
            )
    if isinstance(spec.condition_dsp, WaveNetSpec):
        found += [f"condition_dsp: {notice}" for notice in notices(spec.condition_dsp)]
    return found


def _check_array(array: LayerArraySpec, where: str) -> None:
    if not array.layer1x1.active:
        raise UserError(
            f"{where}.layer1x1.active (= False): the C++ runtime passes the layer's input on "
            "unchanged there, so it would play another network; set layer1x1.active=true."
        )
    for layer in array.layers:
        _check_activation(layer.activation, f"{where}.activation")
        if layer.secondary_activation is not None:
            _check_activation(layer.secondary_activation, f"{where}.secondary_activation")


def _check_activation(activation: ActivationSpec, where: str) -> None:
    if activation.type == "Hardtanh":
        limits = (activation.get("min_val"), activation.get("max_val"))
        if limits != (-1.0, 1.0):
            raise UserError(
                f"{where} (= Hardtanh with limits {limits[0]:g} and {limits[1]:g}): the C++ runtime "
                "always limits at -1 and 1; use LeakyHardtanh with both slopes 0 for other limits."
            )


def _check_head_path(before: LayerArraySpec, array: LayerArraySpec, i: int, place: str) -> None:
    if array.channels != before.head.out_channels:
        raise UserError(
            f"{place}layer_arrays[{i}].channels (= {array.channels}) must equal "
            f"layer_arrays[{i - 1}].head.out_channels (= {before.head.out_channels}): the C++ runtime "
            "refuses the file otherwise; give the array a head1x1 with as many out_channels as channels."
        )


def _check_top_head(activation: ActivationSpec, where: str) -> None:
    # The runtime reads a bare name there and takes its own defaults for parameters.
    if activation.type == "PReLU":
        raise UserError(
            f"{where}.activation (= PReLU): the C++ runtime reads no learned slope there and plays "
            "0.01; use another activation in the top-level head."
        )
    _check_activation(activation, f"{where}.activation")
    if activation.type == "LeakyReLU" and activation.get("negative_slope") != 0.01:
        raise UserError(
            f"{where}.activation (= LeakyReLU with slope {activation.get('negative_slope'):g}): the "
            "C++ runtime always plays 0.01 in the top-level head."
        )
    default_leaky = (-1.0, 1.0, 0.01, 0.01)
    if activation.type == "LeakyHardtanh" and tuple(v for _, v in activation.parameters) != default_leaky:
        raise UserError(
            f"{where}.activation (= LeakyHardtanh with parameters {dict(activation.parameters)}): the "
            "C++ runtime plays its defaults in the top-level head; leave the parameters out."
        )

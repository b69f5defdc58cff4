"""What the C++ runtime 0.5.5 refuses or plays differently, by the list in the spec (2.7 and 6)."""

from __future__ import annotations

from typing import Any

import pytest

from namexp.architectures.parsing import parse_wavenet
from namexp.architectures.playability import check_playable, notices
from namexp.architectures.wavenet import WaveNetSpec
from namexp.errors import UserError
from tests.architectures import PLAYABLE, SLIMMABLE

LEAKY_HARDTANH = {"min_val": -1.0, "max_val": 1.0, "min_slope": 0.01, "max_slope": 0.01}


def array(**changes: Any) -> dict[str, Any]:
    return {"channels": 4, "kernel_sizes": 3, "dilations": [1, 2], "activation": "Tanh", **changes}


def wavenet(*arrays: dict[str, Any], **top: Any) -> WaveNetSpec:
    return parse_wavenet({"layer_arrays": list(arrays), **top}, "model")


def top_head(activation: Any) -> WaveNetSpec:
    return wavenet(array(), head={"channels": 2, "activation": activation, "kernel_sizes": [3]})


def refusal(spec: WaveNetSpec) -> str:
    with pytest.raises(UserError) as error:
        check_playable(spec, "model.")
    return str(error.value)


@pytest.mark.parametrize("name", PLAYABLE)
def test_what_the_runtime_plays_alike_passes_without_a_notice(name: str) -> None:
    check_playable(PLAYABLE[name], "model.")
    assert notices(PLAYABLE[name]) == []


def test_slicing_as_the_runtime_does_it_passes() -> None:
    check_playable(SLIMMABLE, "model.")
    assert notices(SLIMMABLE) == []


REFUSED: dict[str, tuple[WaveNetSpec, str]] = {
    "layer1x1 inactive": (
        wavenet(array(layer1x1={"active": False})),
        "model.layer_arrays[0].layer1x1.active (= False): the C++ runtime passes the layer's input on "
        "unchanged there, so it would play another network; set layer1x1.active=true.",
    ),
    "layer1x1 inactive in the second array": (
        wavenet(array(), array(layer1x1={"active": False})),
        "model.layer_arrays[1].layer1x1.active (= False): the C++ runtime passes the layer's input on "
        "unchanged there, so it would play another network; set layer1x1.active=true.",
    ),
    "Hardtanh limits": (
        wavenet(array(activation=["Tanh", {"type": "Hardtanh", "min_val": -0.5, "max_val": 2.0}])),
        "model.layer_arrays[0].activation (= Hardtanh with limits -0.5 and 2): the C++ runtime always "
        "limits at -1 and 1; use LeakyHardtanh with both slopes 0 for other limits.",
    ),
    "bottleneck of a later array": (
        wavenet(array(), array(bottleneck=2)),
        "model.layer_arrays[1].channels (= 4) must equal layer_arrays[0].head.out_channels (= 2): the "
        "C++ runtime refuses the file otherwise; give the array a head1x1 with as many out_channels as "
        "channels.",
    ),
    "PReLU in the top-level head": (
        top_head("PReLU"),
        "model.head.activation (= PReLU): the C++ runtime reads no learned slope there and plays 0.01; "
        "use another activation in the top-level head.",
    ),
    "LeakyReLU slope in the top-level head": (
        top_head({"type": "LeakyReLU", "negative_slope": 0.2}),
        "model.head.activation (= LeakyReLU with slope 0.2): the C++ runtime always plays 0.01 in the "
        "top-level head.",
    ),
    "Hardtanh limits in the top-level head": (
        top_head({"type": "Hardtanh", "max_val": 2.0}),
        "model.head.activation (= Hardtanh with limits -1 and 2): the C++ runtime always limits at -1 "
        "and 1; use LeakyHardtanh with both slopes 0 for other limits.",
    ),
    "LeakyHardtanh in the top-level head": (
        top_head({"type": "LeakyHardtanh", "max_slope": 0.5}),
        "model.head.activation (= LeakyHardtanh with parameters {'min_val': -1.0, 'max_val': 1.0, "
        "'min_slope': 0.01, 'max_slope': 0.5}): "
        "the C++ runtime plays its defaults in the top-level head; leave the parameters out.",
    ),
    "slicing a bottleneck": (
        wavenet(array(bottleneck=2, slimmable={})),
        "model.bottleneck (= 2): channel slicing does not support a bottleneck other than the channels; "
        "leave it out, or use model=wavenet or model=packed_wavenet.",
    ),
    "slicing a long head kernel": (
        wavenet(array(head={"kernel_size": 2}, slimmable={"method": "slice_channels_uniform"})),
        "model.head.kernel_size (= 2): channel slicing does not support a head kernel longer than 1; "
        "leave it out, or use model=wavenet or model=packed_wavenet.",
    ),
    "slicing with a top-level head": (
        wavenet(
            array(slimmable={"method": "slice_channels_uniform"}),
            head={"channels": 2, "activation": "ReLU", "kernel_sizes": [3]},
        ),
        "model.head (= [3]): channel slicing does not support a top-level head; leave it out, or use "
        "model=wavenet or model=packed_wavenet.",
    ),
    "slicing widths that descend": (
        wavenet(array(slimmable={"kwargs": {"allowed_channels": [3, 2, 4]}})),
        "model.channels (= [3, 2, 4]) must be strictly ascending and positive: list the allowed "
        "channels from small to large, each once.",
    ),
    "slicing widths that end early": (
        wavenet(array(slimmable={"kwargs": {"allowed_channels": [2, 3]}})),
        "model.channels (= [2, 3]) must end with the full width (= 4 channels).",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_runtime_plays_otherwise_is_refused_by_name(name: str) -> None:
    spec, message = REFUSED[name]
    assert refusal(spec) == message


def test_limits_of_a_secondary_activation_are_looked_at() -> None:
    gated = array(gating_mode="gated", secondary_activation={"type": "Hardtanh", "min_val": 0.0})
    assert refusal(wavenet(gated)).startswith(
        "model.layer_arrays[0].secondary_activation (= Hardtanh with limits 0 and 1): the C++ runtime"
    )


def test_a_condition_is_looked_at() -> None:
    condition = {"config": {"layer_arrays": [array(layer1x1={"active": False})]}}
    assert refusal(wavenet(array(), condition_dsp=condition)).startswith(
        "model.condition_dsp.layer_arrays[0].layer1x1.active (= False): the C++ runtime"
    )


def test_defaults_spelt_out_are_not_refused() -> None:
    for activation in (
        {"type": "Hardtanh", "min_val": -1, "max_val": 1},
        {"type": "LeakyReLU", "negative_slope": 0.01},
        {"type": "LeakyHardtanh", **LEAKY_HARDTANH},
    ):
        check_playable(top_head(activation), "model.")
        check_playable(wavenet(array(activation=activation)), "model.")


def test_a_head1x1_of_as_many_channels_mends_a_later_bottleneck() -> None:
    mended = array(bottleneck=2, head1x1={"active": True, "out_channels": 4})
    check_playable(wavenet(array(), mended), "model.")


# --- what later versions of the runtime play right ------------------------------------------------

FILM = {"layer1x1_post_film": {"active": True}}


def notice(i: int) -> str:
    return (
        f"layer_arrays[{i}].layer1x1_post_film is skipped by version 0.5.5 of the C++ runtime outside "
        "gating_mode blended; later versions play it."
    )


@pytest.mark.parametrize("mode", ["none", "gated", ["blended", "gated"]])
def test_layer1x1_post_film_outside_blending_gives_a_notice(mode: Any) -> None:
    spec = wavenet(array(), array(gating_mode=mode, **FILM))
    check_playable(spec, "model.")
    assert notices(spec) == [notice(1)]


def test_layer1x1_post_film_in_blending_gives_none() -> None:
    assert notices(wavenet(array(gating_mode="blended", **FILM))) == []


def test_a_notice_about_a_condition_says_so() -> None:
    condition = {"config": {"layer_arrays": [array(**FILM)]}}
    spec = wavenet(array(), condition_dsp=condition)
    check_playable(spec, "model.")
    assert notices(spec) == [f"condition_dsp: {notice(0)}"]

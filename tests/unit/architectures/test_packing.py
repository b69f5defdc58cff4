"""Every requirement and every exclusion of the packed-training document, by its message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from namexp.architectures.packing import Submodel, check_pack
from namexp.architectures.parsing import parse_wavenet
from namexp.architectures.wavenet import FILM_SITES, WaveNetSpec
from namexp.errors import UserError
from namexp.tasks.capture.config.model import ModelPlan, PackedWaveNetConfig

CONDITION = {
    "name": "WaveNet",
    "config": {"layer_arrays": [{"channels": 2, "kernel_sizes": 2, "dilations": [1], "activation": "Tanh"}]},
}
TOP_HEAD = {"channels": 2, "activation": "ReLU", "kernel_sizes": [3, 5]}
SEPARATELY = "train it separately with model=wavenet"


def array(channels: int, **changes: Any) -> dict[str, Any]:
    plain = {"kernel_sizes": 3, "dilations": [1, 2], "activation": "LeakyReLU", "head": {"kernel_size": 4}}
    return {"channels": channels, **plain, **changes}


def config(channels: int, *, top: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return {"layer_arrays": [array(channels, **changes)], "head_scale": 0.1, **(top or {})}


def plan(small: dict[str, Any], large: dict[str, Any], **names: str) -> ModelPlan:
    """The two as ``model.submodels`` of the ``model`` group."""
    submodels = [
        {"name": names.get("first", "small"), "config": small},
        {"name": names.get("second", "large"), "config": large},
    ]
    return PackedWaveNetConfig(
        kind="packed_wavenet", channels=None, submodels=submodels, layer_arrays=None, head_scale=1.0
    ).plan


def refusal(small: dict[str, Any], large: dict[str, Any], **names: str) -> str:
    with pytest.raises(UserError) as error:
        plan(small, large, **names)
    return str(error.value)


def test_submodels_may_differ_in_every_width() -> None:
    found = plan(
        config(3, bottleneck=2, head1x1={"active": True, "out_channels": 2}),
        config(8, bottleneck=5, head1x1={"active": True, "out_channels": 7}),
    )
    assert [s.name for s in found.submodels] == ["small", "large"]
    assert [s.spec.channels for s in found.submodels] == [[3], [8]]
    assert [s.spec.layer_arrays[0].head_in_channels for s in found.submodels] == [2, 7]
    assert found.spec is found.submodels[-1].spec
    assert found.receptive_field == 1 + 2 * (1 + 2) + 3


# --- what must be equal ---------------------------------------------------------------------------


def two_arrays(*channels: int) -> dict[str, Any]:
    return {"layer_arrays": [array(c) for c in channels], "head_scale": 0.1}


def leaky(slope: float) -> dict[str, Any]:
    return {"type": "LeakyReLU", "negative_slope": slope}


# requirement: (small, large, what differs, value of small, value of large)
DIFFERENT: dict[str, tuple[dict[str, Any], dict[str, Any], str, str, str]] = {
    "number of layer arrays": (config(3), two_arrays(8, 4), "number of layer arrays", "1", "2"),
    "number of layers": (
        config(3), config(8, dilations=[1, 2, 4]), "layer_arrays[0] number of layers", "2", "3",
    ),
    "kernel sizes": (
        config(3), config(8, kernel_sizes=[3, 5]), "layer_arrays[0] kernel_sizes", "[3, 3]", "[3, 5]",
    ),
    "dilations": (
        config(3), config(8, dilations=[1, 3]), "layer_arrays[0] dilations", "[1, 2]", "[1, 3]",
    ),
    "activation type": (
        config(3, activation="Tanh"),
        config(8, activation=["Tanh", "ReLU"]),
        "layer_arrays[0] activation of layer 1",
        "{'type': 'Tanh'}",
        "{'type': 'ReLU'}",
    ),
    "activation parameter": (
        config(3),
        config(8, activation=leaky(0.2)),
        "layer_arrays[0] activation of layer 0",
        "{'type': 'LeakyReLU', 'negative_slope': 0.01}",
        "{'type': 'LeakyReLU', 'negative_slope': 0.2}",
    ),
    "PReLU shared or per channel": (
        config(2, activation="PReLU"),
        config(3, activation={"type": "PReLU", "per_channel": True}),
        "layer_arrays[0] activation of layer 0",
        "{'type': 'PReLU', 'negative_slope': 0.25}",
        "{'type': 'PReLU', 'negative_slopes': [0.25, 0.25, 0.25]}",
    ),
    "head_scale": (config(3), config(8, top={"head_scale": 0.2}), "head_scale", "0.1", "0.2"),
    "head kernel size": (
        config(3), config(8, head={"kernel_size": 5}), "layer_arrays[0] head.kernel_size", "4", "5",
    ),
    "head bias": (
        config(3),
        config(8, head={"kernel_size": 4, "bias": False}),
        "layer_arrays[0] head.bias",
        "True",
        "False",
    ),
    "layer1x1 active": (
        config(3), config(8, layer1x1={"active": False}), "layer_arrays[0] layer1x1.active", "True", "False",
    ),
    "head1x1 active": (
        config(3), config(8, head1x1={"active": True}), "layer_arrays[0] head1x1.active", "False", "True",
    ),
}  # fmt: skip


@pytest.mark.parametrize("requirement", DIFFERENT)
def test_a_difference_names_both_submodels_both_values_and_the_fix(requirement: str) -> None:
    small, large, key, a, b = DIFFERENT[requirement]
    assert refusal(small, large) == (
        f"packed submodels 'small' and 'large' differ in {key}: {a} and {b}; give both the same "
        "value, or train them separately with model=wavenet."
    )


def test_a_difference_in_a_later_array_is_found() -> None:
    small, large = two_arrays(4, 2), two_arrays(8, 4)
    large["layer_arrays"][1]["dilations"] = [1, 64]
    assert "'small' and 'large' differ in layer_arrays[1] dilations: [1, 2] and [1, 64];" in refusal(
        small, large
    )


def test_a_difference_in_a_third_submodel_is_found() -> None:
    submodels = [{"name": str(c), "config": config(c)} for c in (2, 3)]
    submodels.append({"name": "odd", "config": config(4, kernel_sizes=5)})
    with pytest.raises(UserError, match=r"'2' and 'odd' differ in .*kernel_sizes: \[3, 3\] and \[5, 5\]"):
        PackedWaveNetConfig("packed_wavenet", None, submodels, None, 1.0)


def test_the_head_path_must_line_up_across_arrays() -> None:
    broken = two_arrays(8, 4)
    broken["layer_arrays"][0]["head"] = {"out_channels": 3, "kernel_size": 4}
    assert refusal(two_arrays(4, 2), broken) == (
        "model.submodels[1].config.layer_arrays[0].head.out_channels (= 3) must equal "
        "layer_arrays[1].bottleneck (= 4): the head sum goes on from one array to the next."
    )


def test_the_residual_path_must_line_up_across_arrays() -> None:
    broken = two_arrays(8, 4)
    broken["layer_arrays"][1]["input_size"] = 7
    assert refusal(two_arrays(4, 2), broken) == (
        "model.submodels[1].config.layer_arrays[1].input_size (= 7) must equal "
        "layer_arrays[0].channels (= 8)."
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("LeakyReLU", leaky(0.01)),
        ("LeakyReLU", {"name": "LeakyReLU"}),
        ("LeakyReLU", ["LeakyReLU", "LeakyReLU"]),
    ],
)
def test_two_spellings_of_one_activation_are_equal(one: Any, other: Any) -> None:
    found = plan(config(3, activation=one), config(8, activation=other))
    assert found.submodels[0].spec.layer_arrays[0].layers == found.spec.layer_arrays[0].layers


def test_learned_slopes_may_start_apart() -> None:
    def prelu(slope: float) -> dict[str, Any]:
        return {"type": "PReLU", "per_channel": True, "init": slope}

    found = plan(config(2, activation=prelu(0.1)), config(3, activation=prelu(0.4)))
    slopes = [s.spec.layer_arrays[0].layers[0].activation.slopes for s in found.submodels]
    assert slopes == [(0.1, 0.1), (0.4, 0.4, 0.4)]


# --- what a pack does not support -----------------------------------------------------------------

# exclusion: (submodel, key, value, feature)
UNSUPPORTED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "condition_dsp": (
        config(8, top={"condition_dsp": CONDITION}), "condition_dsp", "WaveNet", "a condition_dsp",
    ),
    "top-level head": (
        config(8, top={"head": TOP_HEAD}), "head", "kernel_sizes [3, 5]", "a top-level head",
    ),
    "groups_input": (
        config(8, groups_input=2), "layer_arrays[0].groups_input", "2", "grouped convolutions",
    ),
    "layer1x1 groups": (
        config(8, layer1x1={"groups": 4}), "layer_arrays[0].layer1x1.groups", "4", "grouped layer1x1",
    ),
    "head1x1 groups": (
        config(8, head1x1={"active": True, "out_channels": 4, "groups": 2}),
        "layer_arrays[0].head1x1.groups",
        "2",
        "grouped head1x1",
    ),
    "gated": (
        config(8, gating_mode="gated"),
        "layer_arrays[0].gating_mode",
        "gated",
        "paired or gated activations",
    ),
    "blended": (
        config(8, activation={"name": "PairBlend", "primary": "Tanh", "secondary": "Sigmoid"}),
        "layer_arrays[0].gating_mode",
        "blended",
        "paired or gated activations",
    ),
    "slimmable": (
        config(8, slimmable={"kwargs": {"allowed_channels": [4, 8]}}),
        "layer_arrays[0].slimmable",
        "(4, 8)",
        "channel slicing inside a pack",
    ),
    "slimmable to all widths": (
        config(8, slimmable={"method": "slice_channels_uniform"}),
        "layer_arrays[0].slimmable",
        "all channels",
        "channel slicing inside a pack",
    ),
    "more than one output": (
        config(8, head={"out_channels": 2, "kernel_size": 4}),
        "layer_arrays[-1].head.out_channels",
        "2",
        "more than one output",
    ),
}  # fmt: skip
for site in FILM_SITES:
    UNSUPPORTED[site] = (
        config(8, head1x1={"active": True}, **{site: {"active": True}}),
        f"layer_arrays[0].{site}",
        "active",
        "FiLM",
    )


def expected(name: str, key: str, value: str, feature: str) -> str:
    return (
        f"packed submodel '{name}' has {key} (= {value}): packed training does not support {feature}; "
        f"leave it out of the pack, or {SEPARATELY}."
    )


@pytest.mark.parametrize("exclusion", UNSUPPORTED)
def test_an_unsupported_feature_is_named_with_the_way_out(exclusion: str) -> None:
    large, key, value, feature = UNSUPPORTED[exclusion]
    assert refusal(config(3), large) == expected("large", key, value, feature)


@pytest.mark.parametrize("position", [0, 1])
def test_an_unsupported_feature_is_found_in_either_submodel(position: int) -> None:
    pair = [config(3), config(8)]
    pair[position]["layer_arrays"][0]["conv_post_film"] = {"active": True}
    name = ("small", "large")[position]
    assert refusal(*pair) == expected(name, "layer_arrays[0].conv_post_film", "active", "FiLM")


# What follows cannot be written in YAML without a condition_dsp: one WaveNet is refused before the
# pack is looked at. The pack's own check is asked directly.


def spec(channels: int, **changes: Any) -> WaveNetSpec:
    plain = parse_wavenet(config(channels), "model")
    return replace(plain, layer_arrays=(replace(plain.layer_arrays[0], **changes),))


@pytest.mark.parametrize(
    ("changes", "key", "value", "feature"),
    [
        ({"input_size": 2}, "layer_arrays[0].input_size", "2", "multi-channel input"),
        ({"condition_size": 3}, "layer_arrays[0].condition_size", "3", "multi-channel conditioning audio"),
        ({"groups_input_mixin": 2}, "layer_arrays[0].groups_input_mixin", "2", "grouped convolutions"),
    ],
)
def test_multi_channel_audio_is_named_with_the_way_out(
    changes: dict[str, Any], key: str, value: str, feature: str
) -> None:
    with pytest.raises(UserError) as error:
        check_pack([Submodel("small", spec(3)), Submodel("large", spec(8, **changes))])
    assert str(error.value) == expected("large", key, value, feature)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": 2}, "layer_arrays[0].input_size (= 2) must be 1: the input is mono."),
        (
            {"condition_size": 3},
            "layer_arrays[0].condition_size (= 3) must equal the output channels of the mono input (= 1).",
        ),
    ],
)
def test_multi_channel_audio_in_yaml_is_refused_in_its_place(changes: dict[str, Any], message: str) -> None:
    assert refusal(config(3), config(8, **changes)) == f"model.submodels[1].config.{message}"


# --- names and order ------------------------------------------------------------------------------


def test_names_must_differ() -> None:
    assert refusal(config(3), config(8), first="a", second="a") == (
        "model.submodels[0] and model.submodels[1] are both named 'a'; names tell submodels apart, so "
        "give them different ones."
    )


@pytest.mark.parametrize("empty", ["", "  "])
def test_names_must_not_be_empty(empty: str) -> None:
    message = "model.submodels[1].name is empty; give it a name."
    assert refusal(config(3), config(8), second=empty) == message


def test_submodels_without_names_are_numbered() -> None:
    submodels = [{"config": config(3)}, {"config": config(8)}]
    found = PackedWaveNetConfig("packed_wavenet", None, submodels, None, 1.0).plan
    assert [s.name for s in found.submodels] == ["submodel_0", "submodel_1"]


def test_the_order_goes_from_small_to_large() -> None:
    def macs(C: int) -> int:
        return C + 2 * (3 * C * C + C + C * C) + 4 * C

    assert refusal(config(8), config(3), first="big", second="little") == (
        f"packed submodels 'big' ({macs(8)} MACs per sample) and 'little' ({macs(3)}) are listed from "
        "large to small; list them from small to large: the quality knob goes up."
    )


def test_an_empty_pack_is_refused() -> None:
    with pytest.raises(UserError, match=r"model\.submodels is empty; a pack needs at least one submodel"):
        check_pack([])
    with pytest.raises(UserError, match=r"model\.submodels is empty; a pack needs at least one submodel"):
        PackedWaveNetConfig("packed_wavenet", None, [], None, 1.0)


# --- the group's two ways of saying it ------------------------------------------------------------


def from_channels(channels: Any, submodels: Any = None) -> ModelPlan:
    template = [{k: v for k, v in array(1).items() if k != "channels"} for _ in range(2)]
    return PackedWaveNetConfig("packed_wavenet", channels, submodels, template, 0.1).plan


def test_channels_list_one_entry_for_each_submodel() -> None:
    found = from_channels([[4, 2], [16, 8]])
    assert [s.name for s in found.submodels] == ["channels_4_2", "channels_16_8"]
    assert [s.spec for s in found.submodels] == [
        parse_wavenet(two_arrays(4, 2), "model"),
        parse_wavenet(two_arrays(16, 8), "model"),
    ]


def test_channels_and_submodels_exclude_each_other() -> None:
    with pytest.raises(UserError) as error:
        from_channels([[4, 2]], [{"name": "a", "config": two_arrays(4, 2)}])
    assert str(error.value) == (
        "model.channels (= [[4, 2]]) and model.submodels are both given; set model.channels=null to use "
        "the full list of submodels."
    )


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        (None, "model.channels (= None) must list the channels of each submodel from small to large"),
        ([], "model.channels (= []) must list the channels of each submodel from small to large"),
        (3, "model.channels (= 3) must list the channels of each submodel from small to large"),
        ([[4, 2], [0, 8]], "model.channels[1] (= 0) must be at least 1."),
        ([[4, 2], ["a", 8]], "model.channels[1] (= 'a') must be a whole number."),
        ([[4, 2], 8], "model.channels has the entry [8] with 1 numbers and the model has 2 layer arrays"),
    ],
)
def test_channels_of_the_wrong_form_are_refused(channels: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        from_channels(channels)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("submodels", "message"),
    [
        ("small", "model.submodels (= 'small') must be a list of {name, config}."),
        ([{"name": "a"}], "model.submodels[0].config is missing; give it a value."),
        (
            [{"name": "a", "confg": {}, "config": config(3)}],
            "model.submodels[0].confg (= {}) is not a known setting; did you mean 'config'?",
        ),
    ],
)
def test_submodels_of_the_wrong_form_are_refused(submodels: Any, message: str) -> None:
    with pytest.raises(UserError) as error:
        PackedWaveNetConfig("packed_wavenet", None, submodels, None, 1.0)
    assert str(error.value) == message

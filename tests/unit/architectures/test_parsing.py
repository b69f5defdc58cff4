from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from namexp.architectures.parsing import parse_wavenet
from namexp.architectures.wavenet import FILM_SITES, FilmSpec, LayerArraySpec, WaveNetSpec
from namexp.errors import UserError
from namexp.tasks.capture.config.whole import CaptureConfig

Parse = Callable[..., CaptureConfig]


def array(**changes: Any) -> dict[str, Any]:
    """A layer array of 4 channels and two layers."""
    return {"channels": 4, "kernel_sizes": 3, "dilations": [1, 2], "activation": "Tanh", **changes}


def parse(*arrays: dict[str, Any], **top: Any) -> WaveNetSpec:
    return parse_wavenet({"layer_arrays": list(arrays), **top}, "model")


def only(spec: WaveNetSpec) -> LayerArraySpec:
    (single,) = spec.layer_arrays
    return single


def refusal(*arrays: dict[str, Any], **top: Any) -> str:
    with pytest.raises(UserError) as error:
        parse(*arrays, **top)
    return str(error.value)


# --- two spellings of one network -----------------------------------------------------------------

SPELLINGS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "kernel_size": ({"kernel_sizes": 5}, {"kernel_size": 5}),
    "kernel_size_list": ({"kernel_sizes": [5, 2]}, {"kernel_size": [5, 2]}),
    "layer1x1": (
        {"layer1x1": {"active": True, "groups": 2}},
        {"layer_1x1_config": {"active": True, "groups": 2}},
    ),
    "head1x1": (
        {"head1x1": {"active": True, "out_channels": 6, "groups": 2}},
        {"head_1x1_config": {"active": True, "out_channels": 6, "groups": 2}},
    ),
    "films": (
        {"conv_pre_film": {"active": True, "shift": False}, "activation_post_film": {"active": True}},
        {
            "film_params": {
                "conv_pre_film": {"active": True, "shift": False},
                "activation_post_film": {"active": True},
            }
        },
    ),
    "gated": (
        {"gating_mode": "gated", "secondary_activation": "Sigmoid"},
        {"gated": True},
    ),
    "gated_false": ({"gating_mode": "none"}, {"gated": False}),
    "pair_multiply": (
        {"gating_mode": "gated", "activation": "ReLU", "secondary_activation": "Tanh"},
        {"activation": {"name": "PairMultiply", "primary": "ReLU", "secondary": "Tanh"}},
    ),
    "pair_blend": (
        {"gating_mode": "blended", "activation": "ReLU", "secondary_activation": "Tanh"},
        {"activation": {"type": "PairBlend", "primary": "ReLU", "secondary": "Tanh"}},
    ),
    "activation_name": (
        {"activation": {"type": "LeakyReLU", "negative_slope": 0.2}},
        {"activation": {"name": "LeakyReLU", "negative_slope": 0.2}},
    ),
    "activation_default": (
        {"activation": "LeakyReLU"},
        {"activation": {"type": "LeakyReLU", "negative_slope": 0.01}},
    ),
    "activation_list": ({"activation": "ReLU"}, {"activation": ["ReLU", "ReLU"]}),
    "prelu_init": (
        {"activation": {"type": "PReLU", "negative_slope": 0.5}},
        {"activation": {"name": "PReLU", "num_parameters": 1, "init": 0.5}},
    ),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_peers_names_give_the_same_network(name: str) -> None:
    ours, theirs = SPELLINGS[name]
    plain = array()
    if name.startswith("kernel_size"):
        del plain["kernel_sizes"]
    spec = parse_wavenet({"layer_arrays": [{**plain, **ours}], "head_scale": 0.1}, "model")
    peers = parse_wavenet({"layers_configs": [{**plain, **theirs}], "head_scale": 0.1}, "model")
    assert spec == peers
    if name != "gated_false":
        assert spec != parse(array(), head_scale=0.1)  # the setting has an effect at all


def test_pair_multiply_is_gated_and_pair_blend_is_blended() -> None:
    pair = {"primary": "ReLU", "secondary": "SiLU"}
    layers = only(
        parse(array(activation=[{"name": "PairMultiply", **pair}, {"name": "PairBlend", **pair}]))
    ).layers
    assert [layer.gating_mode for layer in layers] == ["gated", "blended"]
    for layer in layers:
        assert layer.secondary_activation is not None
        assert (layer.activation.type, layer.secondary_activation.type) == ("ReLU", "SiLU")


def test_secondary_activation_is_a_sigmoid_unless_named() -> None:
    layer = only(parse(array(gating_mode="blended"))).layers[1]
    assert layer.secondary_activation is not None
    assert layer.secondary_activation.type == "Sigmoid"


def test_every_film_site_is_read_in_both_places() -> None:
    for site in FILM_SITES:
        film = {site: {"active": True, "shift": False}}
        head1x1 = {"active": True, "out_channels": 2}
        for given in (film, {"film_params": film}):
            spec = only(parse(array(head1x1=head1x1, **given)))
            assert spec.films == {site: FilmSpec(active=True, shift=False, groups=1)}


BOTH: dict[str, tuple[dict[str, Any], list[str]]] = {
    "kernels": ({"kernel_size": 3}, ["kernel_sizes", "kernel_size"]),
    "layer1x1": ({"layer1x1": {}, "layer_1x1_config": {}}, ["layer1x1", "layer_1x1_config"]),
    "head1x1": ({"head1x1": {}, "head_1x1_config": {}}, ["head1x1", "head_1x1_config"]),
    "gated": ({"gated": True, "gating_mode": "blended"}, ["gated", "gating_mode"]),
    "gated_secondary": (
        {"gated": True, "secondary_activation": "Tanh"}, ["gated", "secondary_activation"],
    ),
    "film": (
        {"conv_pre_film": {"active": True}, "film_params": {"conv_pre_film": {"active": True}}},
        ["conv_pre_film", "film_params.conv_pre_film"],
    ),
    "pair": (
        {
            "activation": {"name": "PairBlend", "primary": "Tanh", "secondary": "Sigmoid"},
            "gating_mode": "gated",
        },
        ["the activation PairBlend", "gating_mode"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOTH)
def test_one_thing_under_two_names_is_refused(name: str) -> None:
    changes, names = BOTH[name]
    message = refusal(array(**changes))
    assert message.startswith(f"model.layer_arrays[0] gives both {names[0]} and {names[1]}")
    assert "keep one of them" in message


def test_two_lists_of_layer_arrays_are_refused() -> None:
    message = refusal(array(), layers_configs=[array()])
    assert message == "model gives both layer_arrays and layers_configs; keep one of them."


# --- lists and unknown keys -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation", ["Tanh"]),  # the peer truncates the network here
        ("activation", ["Tanh", "Tanh", "Tanh"]),
        ("kernel_sizes", [3]),
        ("kernel_sizes", [3, 3, 3]),
        ("gating_mode", ["none"]),
        ("secondary_activation", [None]),
    ],
)
def test_a_list_of_the_wrong_length_is_refused(key: str, value: list[Any]) -> None:
    message = refusal(array(**{key: value}))
    assert message == (
        f"model.layer_arrays[0].{key} (= {value}) has {len(value)} entries and dilations has 2; "
        "give one value or 2."
    )


def test_lists_go_layer_by_layer() -> None:
    spec = only(parse(array(kernel_sizes=[5, 2], dilations=[7, 11], activation=["ReLU", "SiLU"])))
    found = [(layer.kernel_size, layer.dilation, layer.activation.type) for layer in spec.layers]
    assert found == [(5, 7, "ReLU"), (2, 11, "SiLU")]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            {"layer_arrays": [array(bottelneck=2)]},
            "model.layer_arrays[0].bottelneck (= 2) is not a known setting; did you mean 'bottleneck'?",
        ),
        (
            {"layer_arrays": [array()], "head_scal": 0.5},
            "model.head_scal (= 0.5) is not a known setting; did you mean 'head_scale'?",
        ),
        (
            {"layer_arrays": [array(head={"kernel_siz": 3})]},
            "model.layer_arrays[0].head.kernel_siz (= 3) is not a known setting; did you mean 'kernel_size'?",
        ),
        (
            {"layer_arrays": [array(layer1x1={"activ": True})]},
            "model.layer_arrays[0].layer1x1.activ (= True) is not a known setting; did you mean 'active'?",
        ),
        (
            {"layer_arrays": [array(conv_pre_film={"activ": True})]},
            "model.layer_arrays[0].conv_pre_film.activ (= True) is not a known setting; did you mean "
            "'active'?",
        ),
        (
            {"layer_arrays": [array(film_params={"conv_pre_fil": {}})]},
            "model.layer_arrays[0].film_params.conv_pre_fil (= {}) is not a known setting; did you mean "
            "'conv_pre_film'?",
        ),
        (
            {"layer_arrays": [array(activation={"type": "LeakyReLU", "negative_slop": 0.2})]},
            "model.layer_arrays[0].activation.negative_slop (= 0.2) is not a known setting; did you mean "
            "'negative_slope'?",
        ),
        (
            {"layer_arrays": [array(activation="Tanhh")]},
            "model.layer_arrays[0].activation (= 'Tanhh') is not an activation that the C++ runtime "
            "plays; did you mean 'Tanh'?",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_a_suggestion(config: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        parse_wavenet(config, "model")
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("changes", "start"),
    [
        ({"channels": 0}, "model.layer_arrays[0].channels (= 0) must be at least 1"),
        ({"channels": 2.5}, "model.layer_arrays[0].channels (= 2.5) must be a whole number"),
        ({"dilations": []}, "model.layer_arrays[0].dilations (= []) must be a list with at least one"),
        ({"dilations": [1, 0]}, "model.layer_arrays[0].dilations[1] (= 0) must be at least 1"),
        ({"kernel_sizes": 0}, "model.layer_arrays[0].kernel_sizes (= 0) must be at least 1"),
        ({"head": {"bias": 1}}, "model.layer_arrays[0].head.bias (= 1) must be true or false"),
        ({"gating_mode": "gate"}, "model.layer_arrays[0].gating_mode (= 'gate') must be one of none, gated"),
        (
            {"secondary_activation": "Tanh"},
            "model.layer_arrays[0].secondary_activation (= 'Tanh') has no effect with gating_mode none",
        ),
    ],
)
def test_a_value_out_of_range_is_refused(changes: dict[str, Any], start: str) -> None:
    assert refusal(array(**changes)).startswith(start)


# --- how the parts fit together -------------------------------------------------------------------


def test_head_out_channels_follow_the_next_array() -> None:
    spec = parse(
        array(),
        array(channels=6, bottleneck=5),
        array(channels=3, head1x1={"active": True, "out_channels": 7}),
        array(channels=2),
    )
    assert [a.head.out_channels for a in spec.layer_arrays] == [5, 7, 2, 1]
    assert [a.input_size for a in spec.layer_arrays] == [1, 4, 6, 3]
    assert [a.head_in_channels for a in spec.layer_arrays] == [4, 5, 7, 2]


def test_condition_size_follows_the_condition() -> None:
    condition = {"name": "WaveNet", "config": {"layer_arrays": [array(head={"out_channels": 3})]}}
    spec = parse(array(), array(), condition_dsp=condition)
    assert [a.condition_size for a in spec.layer_arrays] == [3, 3]
    assert [a.condition_size for a in parse(array(), array()).layer_arrays] == [1, 1]
    message = refusal(array(condition_size=2), condition_dsp=condition)
    assert message == (
        "model.layer_arrays[0].condition_size (= 2) must equal the output channels of condition_dsp (= 3)."
    )


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            [array(), array(input_size=5)],
            "model.layer_arrays[1].input_size (= 5) must equal layer_arrays[0].channels (= 4).",
        ),
        (
            [array(head={"out_channels": 3}), array(channels=2)],
            "model.layer_arrays[0].head.out_channels (= 3) must equal layer_arrays[1].bottleneck (= 2): "
            "the head sum goes on from one array to the next.",
        ),
        (
            [array(head={"out_channels": 3}), array(head1x1={"active": True, "out_channels": 2})],
            "model.layer_arrays[0].head.out_channels (= 3) must equal layer_arrays[1]."
            "head1x1.out_channels (= 2): the head sum goes on from one array to the next.",
        ),
        (
            [array(input_size=2)],
            "model.layer_arrays[0].input_size (= 2) must be 1: the input is mono.",
        ),
        (
            [array(condition_size=2)],
            "model.layer_arrays[0].condition_size (= 2) must equal the output channels of the mono "
            "input (= 1).",
        ),
        (
            [array(head={"out_channels": 2})],
            "model.head.out_channels of the last stage (= 2) must be 1: what is heard is mono.",
        ),
        (
            [array(layer1x1={"active": False}, bottleneck=2)],
            "model.layer_arrays[0].layer1x1 is inactive, so bottleneck (= 2) must equal channels (= 4).",
        ),
        (
            [array(layer1x1={"active": False}, layer1x1_post_film={"active": True})],
            "model.layer_arrays[0].layer1x1_post_film is active, so layer1x1.active must be true.",
        ),
        (
            [array(head1x1_post_film={"active": True})],
            "model.layer_arrays[0].head1x1_post_film is active, so head1x1.active must be true.",
        ),
    ],
)
def test_parts_that_do_not_fit_name_both_sizes(arrays: list[dict[str, Any]], message: str) -> None:
    assert refusal(*arrays) == message


@pytest.mark.parametrize(
    ("changes", "key", "groups", "size"),
    [
        ({"groups_input": 3}, "groups_input", 3, 4),
        ({"groups_input": 2, "bottleneck": 3}, "groups_input", 2, 3),
        ({"groups_input_mixin": 2}, "groups_input_mixin", 2, 1),
        ({"layer1x1": {"groups": 3}}, "layer1x1.groups", 3, 4),
        ({"head1x1": {"active": True, "out_channels": 3, "groups": 2}}, "head1x1.groups", 2, 3),
        ({"conv_pre_film": {"active": True, "groups": 3}}, "conv_pre_film.groups", 3, 1),
    ],
)
def test_groups_must_divide(changes: dict[str, Any], key: str, groups: int, size: int) -> None:
    message = refusal(array(**changes))
    assert message == f"model.layer_arrays[0].{key} (= {groups}) must divide its channels (= {size})."


def test_gating_doubles_what_groups_must_divide() -> None:
    # 2 x 3 rows of a paired convolution are even, the 3 of a plain one are not
    spec = only(parse(array(bottleneck=3, groups_input=2, gating_mode="gated")))
    assert (spec.groups_input, spec.mid_channels(spec.layers[0])) == (2, 6)


# --- channels given apart -------------------------------------------------------------------------


def template(*arrays: dict[str, Any]) -> dict[str, Any]:
    return {"layer_arrays": [{k: v for k, v in a.items() if k != "channels"} for a in arrays]}


def test_channels_given_apart_are_those_of_the_arrays() -> None:
    spec = parse_wavenet(template(array(), array()), "model", channels=[16, 8])
    assert spec.channels == [16, 8]
    assert spec == parse(array(channels=16), array(channels=8))


def test_channels_given_twice_are_refused() -> None:
    with pytest.raises(UserError) as error:
        parse_wavenet({"layer_arrays": [array(channels=4)]}, "model", channels=[8])
    assert str(error.value) == (
        "model.layer_arrays[0].channels (= 4) and model.channels (= [8]) are both given; set "
        "model.channels=null or leave the other out."
    )


def test_one_channel_count_for_each_array() -> None:
    with pytest.raises(UserError, match=r"\[8\] with 1 numbers and the model has 2 layer arrays"):
        parse_wavenet(template(array(), array()), "model", channels=[8])


# --- PReLU ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "slopes"),
    [
        ({}, (0.25,)),
        ({"per_channel": True}, (0.25,) * 3),
        ({"num_parameters": 3, "init": 0.5}, (0.5,) * 3),
        ({"num_parameters": 1, "negative_slope": 0.1}, (0.1,)),
        ({"negative_slopes": [0.1, 0.2, 0.3]}, (0.1, 0.2, 0.3)),
    ],
)
def test_prelu_slopes(parameters: dict[str, Any], slopes: tuple[float, ...]) -> None:
    layer = only(parse(array(bottleneck=3, activation={"type": "PReLU", **parameters}))).layers[0]
    assert layer.activation.slopes == slopes  # one for each of the bottleneck's channels
    assert layer.activation.learned


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"num_parameters": 2},
            "model.layer_arrays[0].activation.num_parameters (= 2) must be 1 or the number of channels "
            "(= 4); 'per_channel: true' follows the channels.",
        ),
        (
            {"negative_slopes": [0.1, 0.2]},
            "model.layer_arrays[0].activation.negative_slopes has 2 entries and the layer has 4 "
            "channels; give one slope or one for each channel.",
        ),
        (
            {"negative_slopes": ["a"]},
            "model.layer_arrays[0].activation.negative_slopes (= ['a']) must be a list of numbers.",
        ),
    ],
)
def test_prelu_slopes_that_fit_no_channels(parameters: dict[str, Any], message: str) -> None:
    assert refusal(array(activation={"type": "PReLU", **parameters})) == message


# --- the shipped models, by the peer's numbers ----------------------------------------------------


@pytest.mark.parametrize(
    ("model", "weights", "receptive_field"),
    [
        ("wavenet", [13802], 4093),
        ("wavenet_lite", [6554], 4093),
        ("wavenet_feather", [3026], 4093),
        ("wavenet_nano", [842], 4093),
        ("packed_wavenet", [1871, 12146], 6347),
    ],
)
def test_weights_and_receptive_field(
    experiment_config: Parse, model: str, weights: list[int], receptive_field: int
) -> None:
    plan = experiment_config(f"model={model}").plan
    assert [s.spec.num_weights for s in plan.submodels] == weights
    assert plan.receptive_field == receptive_field


def test_receptive_field_of_the_small_pack(experiment_config: Parse) -> None:
    plan = experiment_config("model=packed_wavenet_small").plan
    assert plan.receptive_field == 1796 == 1 + 5 * (1 + 5 + 29 + 97 + 227)
    assert [s.name for s in plan.submodels] == ["channels_3", "channels_8"]


@pytest.mark.parametrize(("model", "macs"), [("wavenet", [13320]), ("packed_wavenet", [1731, 11776])])
def test_macs_per_sample(experiment_config: Parse, model: str, macs: list[int]) -> None:
    plan = experiment_config(f"model={model}").plan
    assert [s.spec.macs_per_sample for s in plan.submodels] == macs


def test_counts_of_one_layer_with_everything() -> None:
    spec = parse(
        array(
            channels=4, bottleneck=3, kernel_sizes=5, dilations=[7], gating_mode="gated",
            groups_input=2, layer1x1={"groups": 1}, head1x1={"active": True, "out_channels": 2},
            conv_pre_film={"active": True}, activation_post_film={"active": True, "shift": False},
            head={"kernel_size": 3, "bias": True},
        )
    )  # fmt: skip
    macs = 1 * 4 + 4 * 6 * 5 // 2 + 1 * 6 + 3 * 4 + 3 * 2 + 1 * 8 + 1 * 3 + 2 * 1 * 3
    biases = 6 + 4 + 2 + 8 + 3 + 1
    assert spec.macs_per_sample == macs
    assert spec.num_weights == macs + biases + 1  # head_scale
    assert spec.receptive_field == 1 + 4 * 7 + 2


def test_condition_and_top_level_head_add_to_the_receptive_field() -> None:
    condition = {"config": {"layer_arrays": [array()]}}  # 1 + 2 * (1 + 2) = 7
    spec = parse(
        array(head={"out_channels": 3}),
        condition_dsp=condition,
        head={"channels": 5, "activation": "ReLU", "kernel_sizes": [3, 4]},
    )
    assert spec.receptive_field == 1 + 6 + 6 + 2 + 3
    top = (3 * 5 * 3 + 5) + (5 * 1 * 4 + 1)
    assert spec.num_weights == sum(map(sum, spec.layer_arrays[0].conv_sizes())) + top + 1


def test_only_a_wavenet_trains_as_a_condition() -> None:
    message = refusal(array(), condition_dsp={"name": "LSTM", "config": {}})
    assert message == "model.condition_dsp.name (= 'LSTM') must be one of WaveNet."

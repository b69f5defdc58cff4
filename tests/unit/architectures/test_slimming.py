from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from namexp.architectures.parsing import parse_wavenet
from namexp.architectures.slimming import check_allowed_channels, check_sliceable
from namexp.architectures.wavenet import SlimmableSpec, WaveNetSpec
from namexp.errors import UserError
from namexp.tasks.capture.config.model import SlimmableConfig

CONDITION = {
    "name": "WaveNet",
    "config": {"layer_arrays": [{"channels": 2, "kernel_sizes": 2, "dilations": [1], "activation": "Tanh"}]},
}
FILM = {"active": True}


def array(**changes: Any) -> dict[str, Any]:
    return {"kernel_sizes": 3, "dilations": [1, 2], "activation": "LeakyReLU", **changes}


def group(channels: Any = (3, 12), *, arrays: Any = None, **changes: Any) -> SlimmableConfig:
    settings: dict[str, Any] = {
        "kind": "slimmable", "channels": channels, "layer_arrays": arrays or [array()], "head_scale": 0.1,
        "boosting": True, "init_strategy": "default", "size_sampling": "uniform",
    }  # fmt: skip
    return SlimmableConfig(**{**settings, **changes})


def refusal(*args: Any, **changes: Any) -> str:
    with pytest.raises(UserError) as error:
        group(*args, **changes)
    return str(error.value)


def test_the_last_width_is_the_full_one() -> None:
    plan = group([3, 6, 12], boosting=False, init_strategy="channel_causal", size_sampling="all").plan
    assert plan.spec.channels == [12]
    assert plan.spec.slimmable == SlimmableSpec((3, 6, 12))
    assert (plan.boosting, plan.init_strategy, plan.size_sampling) == (False, "channel_causal", "all")
    assert [s.name for s in plan.submodels] == ["slimmable"]


def test_without_a_list_every_width_is_allowed() -> None:
    assert SlimmableSpec(None).widths(4) == (1, 2, 3, 4)
    assert SlimmableSpec((2, 4)).widths(4) == (2, 4)


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([6, 3, 12], "model.channels (= [6, 3, 12]) must be strictly ascending and positive"),
        ([12, 3], "model.channels (= [12, 3]) must be strictly ascending and positive"),
        ([3, 3, 12], "model.channels (= [3, 3, 12]) must be strictly ascending and positive"),
        ([0, 12], "model.channels[0] (= 0) must be at least 1."),
        ([3, 7.5], "model.channels[1] (= 7.5) must be a whole number."),
        ([3, [6, 12]], "model.channels[1] (= [6, 12]) must be a whole number."),
        (12, "model.channels (= 12) must list the allowed channels from small to large"),
        ([], "model.channels (= []) must list the allowed channels from small to large"),
        (None, "model.channels (= None) must list the allowed channels from small to large"),
    ],
)
def test_widths_of_the_wrong_form_are_refused(channels: Any, message: str) -> None:
    assert refusal(channels).startswith(message)


def test_widths_must_end_at_the_full_width() -> None:
    check_allowed_channels((3, 12), 12, "widths")
    with pytest.raises(UserError) as error:
        check_allowed_channels((3, 6), 12, "widths")
    assert str(error.value) == "widths (= [3, 6]) must end with the full width (= 12 channels)."


def test_widths_named_twice_must_agree() -> None:
    def slimmable(*allowed: int) -> list[dict[str, Any]]:
        return [array(slimmable={"kwargs": {"allowed_channels": list(allowed)}})]

    assert group([3, 12], arrays=slimmable(3, 12)).plan == group([3, 12]).plan
    assert refusal([3, 12], arrays=slimmable(6, 12)) == (
        "model.layer_arrays[0].slimmable (allowed_channels [6, 12]) and model.channels (= [3, 12]) "
        "disagree; leave the first out."
    )


def way_out(key: str, value: str, feature: str) -> str:
    return (
        f"model.{key} (= {value}): channel slicing does not support {feature}; leave it out, or use "
        "model=wavenet or model=packed_wavenet."
    )


PRELU = {"type": "PReLU", "per_channel": True}
UNSUPPORTED: dict[str, tuple[list[dict[str, Any]], str, str, str]] = {
    "arrays": ([array(), array()], "layer_arrays", "2 arrays", "more than one layer array"),
    "groups_input": ([array(groups_input=3)], "groups_input", "3", "grouped convolutions"),
    "layer1x1 groups": (
        [array(layer1x1={"groups": 2})], "layer1x1.groups", "2", "grouped convolutions",
    ),
    "head1x1": ([array(head1x1={"active": True})], "head1x1", "active", "head1x1"),
    "film": ([array(activation_pre_film=FILM)], "activation_pre_film", "active", "FiLM"),
    "head kernel": (
        [array(head={"kernel_size": 4})], "head.kernel_size", "4", "a head kernel longer than 1",
    ),
    "bottleneck": (
        [array(bottleneck=6)], "bottleneck", "6", "a bottleneck other than the channels",
    ),
    "slopes": (
        [array(activation=PRELU)], "activation", "PReLU per channel", "slopes that would have to be sliced",
    ),
    "secondary slopes": (
        [array(gating_mode="gated", secondary_activation=PRELU)],
        "secondary_activation",
        "PReLU per channel",
        "slopes that would have to be sliced",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_a_feature_that_cannot_be_sliced_is_refused_by_name(name: str) -> None:
    arrays, key, value, feature = UNSUPPORTED[name]
    assert refusal(arrays=arrays) == way_out(key, value, feature)


def slimmable_spec(**top: Any) -> WaveNetSpec:
    return parse_wavenet({"layer_arrays": [array(channels=12, slimmable={"kwargs": {}})], **top}, "model")


@pytest.mark.parametrize(
    ("top", "key", "value", "feature"),
    [
        ({"condition_dsp": CONDITION}, "condition_dsp", "WaveNet", "a condition_dsp"),
        (
            {"head": {"channels": 2, "activation": "ReLU", "kernel_sizes": [3]}},
            "head", "[3]", "a top-level head",
        ),
    ],
)  # fmt: skip
def test_what_the_group_has_no_key_for_is_refused_too(
    top: dict[str, Any], key: str, value: str, feature: str
) -> None:
    with pytest.raises(UserError) as error:
        check_sliceable(slimmable_spec(**top), "model.")
    assert str(error.value) == way_out(key, value, feature)


def test_a_grouped_mixin_is_refused() -> None:
    plain = slimmable_spec()
    grouped = replace(plain, layer_arrays=(replace(plain.layer_arrays[0], groups_input_mixin=2),))
    with pytest.raises(UserError) as error:
        check_sliceable(grouped, "model.")
    assert str(error.value) == way_out("groups_input_mixin", "2", "grouped convolutions")


def test_a_wavenet_without_slicing_may_have_all_of_it() -> None:
    spec = parse_wavenet(
        {"layer_arrays": [array(channels=12, bottleneck=6, activation_pre_film=FILM)]}, "model"
    )
    check_sliceable(spec, "model.")
    sliced = replace(spec, layer_arrays=(replace(spec.layer_arrays[0], slimmable=SlimmableSpec(None)),))
    with pytest.raises(UserError, match="activation_pre_film"):
        check_sliceable(sliced, "model.")


@pytest.mark.parametrize("paired", ["gated", "blended"])
def test_gating_and_a_shared_slope_can_be_sliced(paired: str) -> None:
    spec = group(arrays=[array(gating_mode=paired, activation="PReLU")]).plan.spec
    assert spec.layer_arrays[0].layers[0].gating_mode == paired
    assert spec.layer_arrays[0].layers[0].activation.slopes == (0.25,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"init_strategy": "zeros"},
            "model.init_strategy (= 'zeros') must be one of default, smallest_and_zeros, channel_causal, "
            "grown.",
        ),
        ({"size_sampling": "some"}, "model.size_sampling (= 'some') must be one of uniform, all."),
    ],
)
def test_unknown_ways_to_train_are_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(**changes) == message


def test_a_method_other_than_the_runtimes_is_refused() -> None:
    assert refusal(arrays=[array(slimmable={"method": "slice"})]) == (
        "model.layer_arrays[0].slimmable.method (= 'slice') must be one of slice_channels_uniform."
    )

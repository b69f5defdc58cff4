"""Small networks of every kind, for tests."""

from __future__ import annotations

from typing import Any

from namexp.architectures.packing import Submodel
from namexp.architectures.parsing import parse_wavenet
from namexp.architectures.wavenet import WaveNetSpec

CONDITION = {
    "name": "WaveNet",
    "config": {
        "layer_arrays": [
            {"channels": 3, "kernel_sizes": 3, "dilations": [1, 3], "activation": "Tanh",
             "head": {"out_channels": 3}}
        ],
        "head_scale": 0.7,
    },
}  # fmt: skip


def layers(**changes: Any) -> dict[str, Any]:
    """A layer array of 4 channels and 4 layers; ``changes`` replace or add keys."""
    array: dict[str, Any] = {
        "channels": 4, "kernel_sizes": 3, "dilations": [1, 2, 4, 8], "activation": "Tanh",
    }  # fmt: skip
    return {**array, **changes}


def wavenet(*arrays: dict[str, Any], **top: Any) -> WaveNetSpec:
    """A WaveNet of ``arrays`` (one plain array if none are given)."""
    config = {"layer_arrays": list(arrays or [layers()]), "head_scale": 0.5, **top}
    return parse_wavenet(config, "model")


FILMS = {
    site: {"active": True}
    for site in (
        "conv_pre_film", "conv_post_film", "input_mixin_pre_film", "input_mixin_post_film",
        "activation_pre_film", "activation_post_film", "head1x1_post_film",
    )
}  # fmt: skip

# Every feature that trains and that the C++ runtime plays.
PLAYABLE: dict[str, WaveNetSpec] = {
    "plain": wavenet(),
    "kernel_list": wavenet(layers(kernel_sizes=[2, 3, 4, 5])),
    "bottleneck": wavenet(layers(bottleneck=2)),
    "gated": wavenet(layers(gating_mode="gated", secondary_activation="Sigmoid")),
    "blended": wavenet(layers(gating_mode="blended", secondary_activation="Hardswish")),
    "head1x1": wavenet(layers(head1x1={"active": True, "out_channels": 3})),
    "head_kernel": wavenet(layers(head={"kernel_size": 16, "bias": False})),
    "groups": wavenet(
        layers(groups_input=4, groups_input_mixin=1, layer1x1={"active": True, "groups": 2})
    ),
    "films": wavenet(layers(head1x1={"active": True, "out_channels": 3}, **FILMS)),
    "blended_layer1x1_film": wavenet(
        layers(gating_mode="blended", layer1x1_post_film={"active": True, "shift": False})
    ),
    "activations": wavenet(
        layers(
            dilations=[1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1],
            activation=[
                "Tanh", "Hardtanh", "Fasttanh", "ReLU", {"type": "LeakyReLU", "negative_slope": 0.2},
                "PReLU", {"type": "PReLU", "per_channel": True}, "SiLU", "Hardswish", "Softsign",
                {"type": "LeakyHardtanh", "min_val": -0.5, "max_val": 0.7, "min_slope": 0.1},
            ],
        )
    ),
    "two_arrays": wavenet(
        layers(), layers(channels=2, dilations=[16, 32]), head_scale=0.02
    ),
    "top_head": wavenet(
        layers(head={"out_channels": 3}),
        head={"channels": 5, "activation": "ReLU", "kernel_sizes": [3, 5]},
    ),
    "condition": wavenet(layers(), condition_dsp=CONDITION),
}  # fmt: skip


def pack(*channels: Any, **changes: Any) -> list[Submodel]:
    """Submodels of one or two layer arrays; an entry is a number or a list of two."""
    result = []
    for entry in channels:
        sizes = entry if isinstance(entry, list) else [entry]
        arrays = [layers(activation="LeakyReLU", kernel_sizes=4, **changes) for _ in sizes]
        for array in arrays:
            array.pop("channels")
        spec = parse_wavenet({"layer_arrays": arrays, "head_scale": 0.1}, "model", channels=sizes)
        result.append(Submodel(f"channels_{'_'.join(map(str, sizes))}", spec))
    return result


SLIMMABLE = wavenet(
    layers(
        channels=6,
        activation="LeakyReLU",
        slimmable={"method": "slice_channels_uniform", "kwargs": {"allowed_channels": [2, 3, 6]}},
    )
)

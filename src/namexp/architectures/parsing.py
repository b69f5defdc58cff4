"""From what a training config says to the description of a WaveNet.

Accepts our own names and those of the peer's training configs (``layers_configs``,
``layer_1x1_config``, ``film_params``, ...), and refuses every key that it does not know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from namexp.architectures.activation import PRELU_TRAINING_SLOPE, ActivationSpec, parse_activation
from namexp.architectures.invariants import check_wavenet
from namexp.architectures.wavenet import (
    FILM_SITES,
    GATING_MODES,
    SLICE_METHOD,
    FilmSpec,
    Head1x1Spec,
    HeadSpec,
    Layer1x1Spec,
    LayerArraySpec,
    LayerSpec,
    SlimmableSpec,
    TopHeadSpec,
    WaveNetSpec,
)
from namexp.errors import UserError
from namexp.schema.fields import Fields, as_integer, is_list, shown

PAIRED_NAMES = {"PairMultiply": "gated", "PairBlend": "blended"}  # the peer's names
ARRAY_ALIASES = ("layer_arrays", "layers_configs", "layers")


def parse_wavenet(
    config: Any, place: str, *, channels: Sequence[int] | None = None, mono: bool = True
) -> WaveNetSpec:
    """Read a complete WaveNet, or a template whose channels are given apart.

    Args:
        config: ``layer_arrays``, ``head``, ``head_scale``, ``condition_dsp``.
        place: its name in errors, such as ``model.submodels[0].config``.
        channels: of each layer array; then no array may name its own.
        mono: whether the output must have one channel.

    Raises:
        UserError: an unknown key, a wrong type, or parts that do not fit together.
    """
    fields = Fields(config, place)
    name = _one_of(fields, *ARRAY_ALIASES)
    arrays = [Fields(item, f"{fields.where(name)}[{i}]") for i, item in _enumerated(fields, name)]
    condition = _condition(fields)
    spec = WaveNetSpec(
        layer_arrays=_layer_arrays(arrays, channels, condition.out_channels if condition else 1),
        head_scale=fields.number("head_scale", 1.0),
        head=_top_head(fields),
        condition_dsp=condition,
    )
    fields.raw("sample_rate", None)  # the recording says it; the peer's configs repeat it
    fields.finish()
    check_wavenet(spec, place + ".", mono=mono)
    return spec


def _enumerated(fields: Fields, name: str) -> list[tuple[int, Any]]:
    return list(enumerate(fields.items(name)))


def _condition(fields: Fields) -> WaveNetSpec | None:
    """``{name: WaveNet, config: {...}}``, the only architecture that trains as a condition."""
    if not fields.has("condition_dsp"):
        return None
    section = fields.section("condition_dsp")
    section.choice("name", ["WaveNet"], "WaveNet")
    spec = parse_wavenet(section.raw("config"), section.where("config"), mono=False)
    section.finish()
    if spec.slimmable is not None:
        raise UserError(
            f"{section.where('config')} is slimmable; a condition has one width, so leave it out."
        )
    return spec


def _top_head(fields: Fields) -> TopHeadSpec | None:
    if not fields.has("head"):
        return None
    head = fields.section("head")
    channels = head.integer("channels", minimum=1)
    spec = TopHeadSpec(
        channels=channels,
        activation=parse_activation(
            head.raw("activation"),
            head.where("activation"),
            channels=channels,
            default_slope=PRELU_TRAINING_SLOPE,
            strict=True,
        ),
        out_channels=head.integer("out_channels", 1, minimum=1),
        kernel_sizes=tuple(head.integers("kernel_sizes", minimum=1)),
    )
    head.raw("in_channels", None)
    head.finish()
    return spec


def _layer_arrays(
    arrays: list[Fields], channels: Sequence[int] | None, condition_size: int
) -> tuple[LayerArraySpec, ...]:
    widths = _widths(arrays, channels)
    specs: list[LayerArraySpec] = []
    for i, fields in enumerate(arrays):
        last = i == len(arrays) - 1
        specs.append(
            _layer_array(
                fields,
                channels=widths[i],
                input_size=specs[-1].channels if specs else 1,
                condition_size=condition_size,
                head_out=1 if last else _head_in(arrays[i + 1], widths[i + 1]),
            )
        )
    return tuple(specs)


def _widths(arrays: list[Fields], channels: Sequence[int] | None) -> list[int]:
    if channels is None:
        return [fields.integer("channels", minimum=1) for fields in arrays]
    for fields in arrays:
        if fields.has("channels"):
            raise UserError(
                f"{fields.where('channels')} (= {fields.raw('channels')}) and model.channels "
                f"(= {list(channels)}) are both given; set model.channels=null or leave the other out."
            )
    if len(channels) != len(arrays):
        raise UserError(
            f"model.channels has the entry {list(channels)} with {len(channels)} numbers and the "
            f"model has {len(arrays)} layer arrays; give one number for each layer array."
        )
    return [as_integer(c, "model.channels", minimum=1) for c in channels]


def _head_in(fields: Fields, channels: int) -> int:
    """What the next array's head sum has, and so what the head before it must give."""
    head1x1 = _renamed(fields, "head1x1", "head_1x1_config")
    if head1x1.boolean("active", False):
        return head1x1.integer("out_channels", 1, minimum=1)
    return fields.integer("bottleneck", channels, minimum=1)


def _one_of(fields: Fields, *names: str) -> str:
    """Which of several names for one thing is given; the first if none is."""
    given = [name for name in names if fields.has(name)]
    if len(given) > 1:
        raise UserError(f"{fields.place} gives both {given[0]} and {given[1]}; keep one of them.")
    return given[0] if given else names[0]


def _renamed(fields: Fields, *names: str) -> Fields:
    return fields.section(_one_of(fields, *names))


def _layer_array(
    fields: Fields, *, channels: int, input_size: int, condition_size: int, head_out: int
) -> LayerArraySpec:
    bottleneck = fields.integer("bottleneck", channels, minimum=1)
    layer1x1 = _renamed(fields, "layer1x1", "layer_1x1_config")
    head1x1 = _renamed(fields, "head1x1", "head_1x1_config")
    spec = LayerArraySpec(
        input_size=fields.integer("input_size", input_size, minimum=1),
        condition_size=fields.integer("condition_size", condition_size, minimum=1),
        channels=channels,
        bottleneck=bottleneck,
        head=_head(fields, head_out),
        layers=_layers(fields, bottleneck),
        groups_input=fields.integer("groups_input", 1, minimum=1),
        groups_input_mixin=fields.integer("groups_input_mixin", 1, minimum=1),
        layer1x1=Layer1x1Spec(layer1x1.boolean("active", True), layer1x1.integer("groups", 1, minimum=1)),
        head1x1=Head1x1Spec(
            head1x1.boolean("active", False),
            head1x1.integer("out_channels", 1, minimum=1),
            head1x1.integer("groups", 1, minimum=1),
        ),
        films=_films(fields),
        slimmable=_slimmable(fields),
    )
    layer1x1.finish()
    head1x1.finish()
    fields.finish()
    return spec


def _head(fields: Fields, out_channels: int) -> HeadSpec:
    head = fields.section("head")
    spec = HeadSpec(
        out_channels=head.integer("out_channels", out_channels, minimum=1),
        kernel_size=head.integer("kernel_size", 1, minimum=1),
        bias=head.boolean("bias", True),
    )
    head.finish()
    return spec


def _films(fields: Fields) -> dict[str, FilmSpec]:
    """FiLM sites, flat as in a file or below ``film_params`` as in the peer's configs."""
    below = fields.section("film_params")
    films = {}
    for site in FILM_SITES:
        if below.has(site) and fields.has(site):
            raise UserError(f"{fields.place} gives both {site} and film_params.{site}; keep one of them.")
        section = below.section(site) if below.has(site) else fields.section(site)
        fields.has(site)
        film = FilmSpec(
            section.boolean("active", False),
            section.boolean("shift", True),
            section.integer("groups", 1, minimum=1),
        )
        section.finish()
        if film != FilmSpec():
            films[site] = film
    below.finish()
    return films


def _slimmable(fields: Fields) -> SlimmableSpec | None:
    if not fields.has("slimmable"):
        return None
    section = fields.section("slimmable")
    section.choice("method", [SLICE_METHOD], SLICE_METHOD)
    kwargs = section.section("kwargs")
    allowed = kwargs.integers("allowed_channels", minimum=1) if kwargs.has("allowed_channels") else None
    kwargs.finish()
    section.finish()
    return SlimmableSpec(tuple(allowed) if allowed else None)


def _layers(fields: Fields, bottleneck: int) -> tuple[LayerSpec, ...]:
    dilations = fields.integers("dilations", minimum=1)
    n = len(dilations)
    name = _one_of(fields, "kernel_sizes", "kernel_size")
    kernel_sizes = [as_integer(k, fields.where(name), minimum=1) for k in _per_layer(fields, name, n)]
    activations = _per_layer(fields, "activation", n)
    gating_modes = _per_layer(fields, "gating_mode", n, "none")
    secondaries = _per_layer(fields, "secondary_activation", n, None)
    if fields.boolean("gated", False):  # versions before 0.6
        _one_of(fields, "gated", "gating_mode")
        _one_of(fields, "gated", "secondary_activation")
        gating_modes, secondaries = ["gated"] * n, ["Sigmoid"] * n
    layers = []
    for i in range(n):
        mode, primary, secondary = _paired(activations[i], gating_modes[i], secondaries[i], fields)
        layers.append(
            LayerSpec(
                kernel_size=kernel_sizes[i],
                dilation=dilations[i],
                activation=_activation(primary, fields.where("activation"), bottleneck),
                gating_mode=mode,
                secondary_activation=None
                if mode == "none"
                else _activation(secondary, fields.where("secondary_activation"), bottleneck),
            )
        )
    return tuple(layers)


def _activation(value: Any, place: str, channels: int) -> ActivationSpec:
    return parse_activation(value, place, channels=channels, default_slope=PRELU_TRAINING_SLOPE, strict=True)


def _per_layer(fields: Fields, name: str, n: int, *default: Any) -> list[Any]:
    """One value for all layers, or a list with one for each."""
    value = fields.raw(name, *default)
    if not is_list(value):
        return [value] * n
    if len(value) != n:
        raise UserError(
            f"{fields.where(name)} (= {shown(value)}) has {len(value)} entries and dilations has "
            f"{n}; give one value or {n}."
        )
    return list(value)


def _paired(activation: Any, mode: Any, secondary: Any, fields: Fields) -> tuple[str, Any, Any]:
    """(gating mode, primary, secondary), also from the peer's PairMultiply and PairBlend."""
    if isinstance(activation, Mapping):
        name = activation.get("name", activation.get("type"))
        if name in PAIRED_NAMES:
            if mode != "none" or secondary is not None:
                raise UserError(
                    f"{fields.place} gives both the activation {name} and gating_mode or "
                    "secondary_activation; keep one of them."
                )
            pair = Fields(activation, fields.where("activation"))
            pair.has("name")
            pair.has("type")
            parts = pair.raw("primary"), pair.raw("secondary")
            pair.finish()
            return PAIRED_NAMES[name], *parts
    if mode not in GATING_MODES:
        raise UserError(
            f"{fields.where('gating_mode')} (= {shown(mode)}) must be one of {', '.join(GATING_MODES)}."
        )
    if mode == "none" and secondary is not None:
        raise UserError(
            f"{fields.where('secondary_activation')} (= {shown(secondary)}) has no effect with "
            "gating_mode none; set gating_mode to gated or blended, or leave it out."
        )
    return mode, activation, "Sigmoid" if secondary is None else secondary

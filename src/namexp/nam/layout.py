"""The ``config`` of a file, every version's layout, to a description and back.

Reading follows the C++ runtime 0.5.5: its defaults, what it ignores and what it refuses. Writing
gives the layout of 0.7.0 with every key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from namexp.architectures.activation import PRELU_FILE_SLOPE, ActivationSpec, parse_activation
from namexp.architectures.invariants import check_wavenet
from namexp.architectures.limits import MOST_ARRAYS, MOST_LAYERS, within
from namexp.architectures.played import ConvNetSpec, LinearSpec, LstmSpec
from namexp.architectures.slimming import check_allowed_channels
from namexp.architectures.spec import ModelSpec
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
from namexp.schema.fields import REQUIRED, Fields, is_list, shown

# --- reading ------------------------------------------------------------------------------------

NULLABLE = ("condition_dsp", "head", "slimmable", "secondary_activation")


class FileFields(Fields):
    """The fields of a file: the runtime takes null for a value, and mostly for a wrong one."""

    def has(self, key: str) -> bool:
        """Whether ``key`` is given."""
        self._refuse_null(key)
        return super().has(key)

    def raw(self, key: str, default: Any = REQUIRED) -> Any:
        """The value as it stands."""
        self._refuse_null(key)
        return super().raw(key, default)

    def _refuse_null(self, key: str) -> None:
        if key not in NULLABLE and self.mapping.get(key, "") is None:
            raise UserError(
                f"{self.where(key)} (= null) must have a value; leave the key out for the default."
            )


def read_wavenet(config: Any, place: str, *, condition: ModelSpec | None, mono: bool) -> WaveNetSpec:
    """The WaveNet that ``config`` describes.

    Args:
        config: of the file.
        place: of the config, for errors.
        condition: the model behind ``config.condition_dsp``, read apart.
        mono: whether the output must have one channel (a condition may have more).

    Raises:
        UserError: what the runtime refuses, with the place and the value.
    """
    fields = FileFields(config, place)
    layers = fields.raw("layers")
    if not is_list(layers) or not layers:
        raise UserError(f"{fields.where('layers')} (= {shown(layers)}) must hold a layer array.")
    within(len(layers), MOST_ARRAYS, fields.where("layers"), "layer arrays")
    fields.raw("head_scale")
    spec = WaveNetSpec(
        layer_arrays=tuple(
            _read_array(FileFields(item, f"{fields.where('layers')}[{i}]")) for i, item in enumerate(layers)
        ),
        head_scale=fields.number("head_scale"),
        head=_read_top_head(fields),
        condition_dsp=condition,
    )
    check_wavenet(spec, f"{place}.", mono=mono)
    _check_head_path(spec, place)
    _check_slimmable(spec, place)
    return spec


def _check_head_path(spec: WaveNetSpec, place: str) -> None:
    for i in range(1, len(spec.layer_arrays)):
        before, array = spec.layer_arrays[i - 1], spec.layer_arrays[i]
        if array.channels != before.head.out_channels:
            raise UserError(
                f"{place}.layers[{i}].channels (= {array.channels}) must equal the head outputs of "
                f"layers[{i - 1}] (= {before.head.out_channels})."
            )


def _check_slimmable(spec: WaveNetSpec, place: str) -> None:
    for i, array in enumerate(spec.layer_arrays):
        if array.slimmable is None:
            continue
        where = f"{place}.layers[{i}].slimmable"
        check_allowed_channels(
            array.slimmable.widths(array.channels), array.channels, f"{where}.allowed_channels"
        )
        groups = (array.groups_input, array.groups_input_mixin, array.layer1x1.groups)
        if set(groups) != {1} or array.head.kernel_size != 1 or spec.head is not None:
            raise UserError(
                f"{where}: the runtime slices no groups, no head kernel longer than 1 and no top head."
            )


def _read_array(fields: Fields) -> LayerArraySpec:
    channels = fields.integer("channels", minimum=1)
    bottleneck = fields.integer("bottleneck", channels, minimum=1)
    layer1x1 = fields.section("layer1x1")
    head1x1 = fields.section("head1x1")
    return LayerArraySpec(
        input_size=fields.integer("input_size", minimum=1),
        condition_size=fields.integer("condition_size", minimum=1),
        channels=channels,
        bottleneck=bottleneck,
        head=_read_head(fields),
        layers=_read_layers(fields, bottleneck),
        groups_input=fields.integer("groups_input", 1, minimum=1),
        groups_input_mixin=fields.integer("groups_input_mixin", 1, minimum=1),
        layer1x1=Layer1x1Spec(
            *(_given(layer1x1, ("active", "groups")) if fields.has("layer1x1") else (True, 1))
        ),
        head1x1=Head1x1Spec(
            *(
                _given(head1x1, ("active", "out_channels", "groups"))
                if fields.has("head1x1")
                else (False, 1, 1)
            )
        ),
        films=_read_films(fields),
        slimmable=_read_slimmable(fields),
    )


def _given(section: Fields, keys: tuple[str, ...]) -> list[Any]:
    """All ``keys`` of an object that the runtime reads without defaults."""
    return [section.boolean(key) if key == "active" else section.integer(key, minimum=1) for key in keys]


def _read_head(fields: Fields) -> HeadSpec:
    if fields.has("head"):
        head = fields.section("head")
        return HeadSpec(
            head.integer("out_channels", minimum=1),
            head.integer("kernel_size", minimum=1),
            head.boolean("bias"),
            head.integer("head_dilation", 1, minimum=1),
        )
    return HeadSpec(fields.integer("head_size", minimum=1), 1, fields.boolean("head_bias"))


def _read_layers(fields: Fields, bottleneck: int) -> tuple[LayerSpec, ...]:
    within(len(fields.items("dilations")), MOST_LAYERS, fields.where("dilations"), "entries")
    dilations = fields.integers("dilations", minimum=1)
    n = len(dilations)
    if fields.has("kernel_size") and fields.has("kernel_sizes"):
        raise UserError(f"{fields.place}: only one of kernel_size and kernel_sizes may be given.")
    if fields.has("kernel_sizes"):
        kernel_sizes = fields.integers("kernel_sizes", minimum=1)
        if len(kernel_sizes) != n:
            raise UserError(
                f"{fields.where('kernel_sizes')} has {len(kernel_sizes)} entries and dilations {n}."
            )
    else:
        kernel_sizes = [fields.integer("kernel_size", minimum=1)] * n
    modes = _read_gating(fields, n)
    activations = _spread(fields, "activation", fields.raw("activation"), n)
    secondaries = _secondaries(fields, n)
    layers = []
    for i in range(n):
        paired = modes[i] != "none"
        place = f"{fields.where('activation')}[{i}]"
        layers.append(
            LayerSpec(
                kernel_size=kernel_sizes[i],
                dilation=dilations[i],
                activation=_read_activation(activations[i], place, bottleneck),
                gating_mode=modes[i],
                secondary_activation=_read_activation(secondaries[i], place, bottleneck) if paired else None,
            )
        )
    return tuple(layers)


def _read_gating(fields: Fields, n: int) -> list[str]:
    if fields.has("gating_mode"):
        modes = _spread(fields, "gating_mode", fields.raw("gating_mode"), n)
    else:
        modes = ["gated" if fields.boolean("gated", False) else "none"] * n
    for mode in modes:
        if mode not in GATING_MODES:
            raise UserError(f"{fields.where('gating_mode')} (= {shown(mode)}) is not known.")
    return modes


def _secondaries(fields: Fields, n: int) -> list[Any]:
    """Sigmoid where the file has no such key, or is of the versions before gating modes."""
    if "secondary_activation" not in fields.mapping or not fields.has("gating_mode"):
        return ["Sigmoid"] * n
    return _spread(fields, "secondary_activation", fields.raw("secondary_activation", None), n)


def _spread(fields: Fields, key: str, value: Any, n: int) -> list[Any]:
    if not is_list(value):
        return [value] * n
    if len(value) != n:
        raise UserError(f"{fields.where(key)} has {len(value)} entries and dilations {n}.")
    return list(value)


def _read_activation(value: Any, place: str, channels: int) -> ActivationSpec:
    return parse_activation(value, place, channels=channels, default_slope=PRELU_FILE_SLOPE, strict=False)


def _read_films(fields: Fields) -> dict[str, FilmSpec]:
    films = {}
    for site in FILM_SITES:
        if not fields.has(site) or fields.raw(site) is False:
            continue
        section = fields.section(site)
        film = FilmSpec(
            section.boolean("active", True),
            section.boolean("shift", True),
            section.integer("groups", 1, minimum=1),
        )
        if film != FilmSpec():
            films[site] = film
    return films


def _read_slimmable(fields: Fields) -> SlimmableSpec | None:
    if not fields.has("slimmable"):
        return None
    section = fields.section("slimmable")
    method = section.text("method")
    if method != SLICE_METHOD:
        raise UserError(f"{section.where('method')} (= {shown(method)}) must be {SLICE_METHOD}.")
    kwargs = section.section("kwargs")
    if not kwargs.has("allowed_channels"):
        return SlimmableSpec(None)
    return SlimmableSpec(tuple(kwargs.integers("allowed_channels", minimum=1)))


def _read_top_head(fields: Fields) -> TopHeadSpec | None:
    if not fields.has("head"):
        return None
    head = fields.section("head")
    channels = head.integer("channels", minimum=1)
    return TopHeadSpec(
        channels=channels,
        activation=_read_activation(head.raw("activation"), head.where("activation"), channels),
        out_channels=head.integer("out_channels", minimum=1),
        kernel_sizes=tuple(head.integers("kernel_sizes", minimum=1)),
    )


def read_other(architecture: str, config: Any, place: str) -> LinearSpec | LstmSpec | ConvNetSpec:
    """The description of a Linear, LSTM or ConvNet.

    Raises:
        UserError: an architecture that the runtime does not know, or a wrong field.
    """
    fields = FileFields(config, place)
    if architecture == "Linear":
        return LinearSpec(fields.integer("receptive_field", minimum=1), fields.boolean("bias"))
    if architecture == "LSTM":
        fields.expect("input_size", "hidden_size", "num_layers")
        size = fields.integer("input_size", minimum=1)
        if size != 1:
            raise UserError(f"{fields.where('input_size')} (= {size}) must be 1: the input is mono.")
        return LstmSpec(
            size, fields.integer("hidden_size", minimum=1), fields.integer("num_layers", minimum=1)
        )
    if architecture == "ConvNet":
        channels = fields.integer("channels", minimum=1)
        return ConvNetSpec(
            channels=channels,
            dilations=tuple(fields.integers("dilations", minimum=1)),
            batchnorm=fields.boolean("batchnorm"),
            activation=_read_activation(fields.raw("activation"), fields.where("activation"), channels),
            groups=fields.integer("groups", 1, minimum=1),
        )
    raise UserError(
        f"architecture (= {shown(architecture)}) is not known to the C++ runtime; it plays Linear, LSTM, "
        "ConvNet, WaveNet and SlimmableContainer."
    )


# --- writing ------------------------------------------------------------------------------------


def write_config(spec: WaveNetSpec | LinearSpec | LstmSpec | ConvNetSpec) -> dict[str, Any]:
    """The ``config`` of version 0.7.0, without a WaveNet's ``condition_dsp``."""
    if isinstance(spec, WaveNetSpec):
        return {
            "layers": [_write_array(array) for array in spec.layer_arrays],
            "head": _write_top_head(spec.head),
            "head_scale": spec.head_scale,
        }
    if isinstance(spec, LinearSpec):
        return {"receptive_field": spec.receptive_field, "bias": spec.bias}
    if isinstance(spec, LstmSpec):
        return {
            "input_size": spec.input_size,
            "hidden_size": spec.hidden_size,
            "num_layers": spec.num_layers,
        }
    config: dict[str, Any] = {
        "channels": spec.channels,
        "dilations": list(spec.dilations),
        "batchnorm": spec.batchnorm,
        "activation": _plain_or_config(spec.activation),
    }
    return config if spec.groups == 1 else {**config, "groups": spec.groups}


def _write_array(array: LayerArraySpec) -> dict[str, Any]:
    head = {
        "out_channels": array.head.out_channels,
        "kernel_size": array.head.kernel_size,
        "bias": array.head.bias,
    }
    if array.head.dilation != 1:
        head["head_dilation"] = array.head.dilation
    return {
        "input_size": array.input_size,
        "condition_size": array.condition_size,
        "head": head,
        "channels": array.channels,
        "kernel_sizes": [layer.kernel_size for layer in array.layers],
        "dilations": [layer.dilation for layer in array.layers],
        "activation": [layer.activation.to_config() for layer in array.layers],
        "bottleneck": array.bottleneck,
        "head1x1": {
            "active": array.head1x1.active,
            "out_channels": array.head1x1.out_channels,
            "groups": array.head1x1.groups,
        },
        "layer1x1": {"active": array.layer1x1.active, "groups": array.layer1x1.groups},
        "groups_input": array.groups_input,
        "groups_input_mixin": array.groups_input_mixin,
        **{site: _write_film(array.film(site)) for site in FILM_SITES},
        "gating_mode": [layer.gating_mode for layer in array.layers],
        "secondary_activation": [
            layer.secondary_activation.to_config() if layer.secondary_activation else None
            for layer in array.layers
        ],
        "slimmable": _write_slimmable(array.slimmable),
    }


def _write_film(film: FilmSpec) -> dict[str, Any]:
    return {"active": film.active, "shift": film.shift, "groups": film.groups}


def _write_slimmable(slimmable: SlimmableSpec | None) -> dict[str, Any] | None:
    if slimmable is None:
        return None
    kwargs: Mapping[str, Any] = {}
    if slimmable.allowed_channels is not None:
        kwargs = {"allowed_channels": list(slimmable.allowed_channels)}
    return {"method": slimmable.method, "kwargs": kwargs}


def _write_top_head(head: TopHeadSpec | None) -> dict[str, Any] | None:
    if head is None:
        return None
    return {
        "channels": head.channels,
        "activation": _plain_or_config(head.activation),
        "out_channels": head.out_channels,
        "kernel_sizes": list(head.kernel_sizes),
    }


def _plain_or_config(activation: ActivationSpec) -> Any:
    """The bare name where the runtime's defaults are meant: it reads no parameters there."""
    default = parse_activation(activation.type, "", channels=1, default_slope=PRELU_FILE_SLOPE, strict=False)
    return activation.type if activation == default else activation.to_config()

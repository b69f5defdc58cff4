"""What must hold inside one WaveNet, wherever its description came from."""

from __future__ import annotations

from namexp.architectures.limits import check_size
from namexp.architectures.wavenet import FILM_SITES, LayerArraySpec, WaveNetSpec
from namexp.errors import UserError


def check_wavenet(spec: WaveNetSpec, place: str, *, mono: bool = True) -> None:
    """Refuse a WaveNet whose parts do not fit together.

    Args:
        spec: the description.
        place: prefix of the names in errors, such as ``"model."``.
        mono: whether the output must have one channel; a condition may have more.

    Raises:
        UserError: names both sizes that disagree and what to do.
    """
    check_size(spec, place)
    condition_channels = spec.condition_dsp.out_channels if spec.condition_dsp else 1
    for i, array in enumerate(spec.layer_arrays):
        where = f"{place}layer_arrays[{i}]"
        _check_groups(array, where)
        _check_sites(array, where)
        if array.condition_size != condition_channels:
            source = "condition_dsp" if spec.condition_dsp else "the mono input"
            raise UserError(
                f"{where}.condition_size (= {array.condition_size}) must equal the output channels "
                f"of {source} (= {condition_channels})."
            )
        if not array.layer1x1.active and array.bottleneck != array.channels:
            raise UserError(
                f"{where}.layer1x1 is inactive, so bottleneck (= {array.bottleneck}) must equal "
                f"channels (= {array.channels})."
            )
    _check_chain(spec, place)
    if mono and spec.out_channels != 1:
        raise UserError(
            f"{place}head.out_channels of the last stage (= {spec.out_channels}) must be 1: what is "
            "heard is mono."
        )


def _check_chain(spec: WaveNetSpec, place: str) -> None:
    if spec.layer_arrays[0].input_size != 1:
        raise UserError(
            f"{place}layer_arrays[0].input_size (= {spec.layer_arrays[0].input_size}) must be 1: "
            "the input is mono."
        )
    for i in range(1, len(spec.layer_arrays)):
        before, array = spec.layer_arrays[i - 1], spec.layer_arrays[i]
        if array.input_size != before.channels:
            raise UserError(
                f"{place}layer_arrays[{i}].input_size (= {array.input_size}) must equal "
                f"layer_arrays[{i - 1}].channels (= {before.channels})."
            )
        if array.head_in_channels != before.head.out_channels:
            what = "head1x1.out_channels" if array.head1x1.active else "bottleneck"
            raise UserError(
                f"{place}layer_arrays[{i - 1}].head.out_channels (= {before.head.out_channels}) "
                f"must equal layer_arrays[{i}].{what} (= {array.head_in_channels}): the head sum "
                "goes on from one array to the next."
            )


def _check_groups(array: LayerArraySpec, where: str) -> None:
    B, D = array.bottleneck, array.condition_size
    for layer in array.layers:
        mid = array.mid_channels(layer)
        divisions = [
            ("groups_input", array.groups_input, (array.channels, mid)),
            ("groups_input_mixin", array.groups_input_mixin, (D, mid)),
        ]
        if array.layer1x1.active:
            divisions.append(("layer1x1.groups", array.layer1x1.groups, (B, array.channels)))
        if array.head1x1.active:
            out = array.head1x1.out_channels
            divisions.append(("head1x1.groups", array.head1x1.groups, (B, out)))
        for site in FILM_SITES:
            film = array.film(site)
            if film.active:
                out = array.film_dim(site, layer) * (2 if film.shift else 1)
                divisions.append((f"{site}.groups", film.groups, (D, out)))
        for name, groups, sizes in divisions:
            for size in sizes:
                if size % groups:
                    raise UserError(f"{where}.{name} (= {groups}) must divide its channels (= {size}).")


def _check_sites(array: LayerArraySpec, where: str) -> None:
    for site, conv, active in (
        ("layer1x1_post_film", "layer1x1", array.layer1x1.active),
        ("head1x1_post_film", "head1x1", array.head1x1.active),
    ):
        if array.film(site).active and not active:
            raise UserError(f"{where}.{site} is active, so {conv}.active must be true.")

"""How large a network may be: far beyond every amp, and within the memory and the patience of a machine.

A file of a few kilobytes can ask for any memory: one dilation is enough.
"""

from __future__ import annotations

from namexp.architectures.played import ContainerSpec, ConvNetSpec, LinearSpec, LstmSpec
from namexp.architectures.spec import ModelSpec
from namexp.architectures.wavenet import LayerArraySpec, WaveNetSpec
from namexp.errors import UserError

MOST_SAMPLES = 2**24  # of the receptive field, almost 6 minutes at 48 kHz, and of one dilation
MOST_HELD = 2**26  # receptive field x channels: 256 MB of samples in each layer
MOST_CHANNELS = 1024
MOST_WEIGHTS = 2**24
MOST_LAYERS = 2048
MOST_ARRAYS = 256
MOST_RECURRENT_LAYERS = 32  # one waits for the other, sample by sample
MOST_PLAYED_SAMPLES = 2**20  # of a receptive field, 22 s at 48 kHz: each block of audio costs as much again
MOST_MODELS = 64  # in one file
MOST_NESTED = 16  # models inside models


def check_size(spec: ModelSpec, place: str) -> None:
    """Refuse a network that no machine could be expected to play.

    Args:
        spec: of one model; what it holds besides (a condition, submodels) has been checked.
        place: prefix of the names in errors, such as ``"model."``.

    Raises:
        UserError: names the size, its value and the limit.
    """
    if isinstance(spec, WaveNetSpec):
        _check_wavenet(spec, place)
        width = max(_width(array) for array in spec.layer_arrays)
    elif isinstance(spec, ConvNetSpec):
        within(spec.channels, MOST_CHANNELS, f"{place}channels")
        within(len(spec.dilations), MOST_LAYERS, f"{place}dilations", "entries")
        width = spec.channels
    elif isinstance(spec, LstmSpec):
        within(spec.num_layers, MOST_RECURRENT_LAYERS, f"{place}num_layers")
        within(spec.hidden_size, MOST_CHANNELS, f"{place}hidden_size")
        width = spec.hidden_size
    else:
        assert isinstance(spec, LinearSpec | ContainerSpec), "there are five architectures"
        width = 1
    within(spec.num_weights, MOST_WEIGHTS, f"{place}weights", "numbers")
    field = spec.receptive_field
    if field is not None:
        within(field, MOST_SAMPLES, f"{place}receptive_field", "samples")
        if field * width > MOST_HELD:
            raise UserError(
                f"{place}receptive_field (= {field}) of {width} channels is too large: {MOST_HELD // width} "
                "samples are the most for so many channels."
            )


def check_patience(spec: ModelSpec) -> None:
    """Refuse to play what may be looked at, but takes minutes for a second of audio.

    Raises:
        UserError: the receptive field is too long.
    """
    field = spec.receptive_field
    if field is not None:
        within(field, MOST_PLAYED_SAMPLES, "receptive_field", "samples", "to be played")


def within(value: int, most: int, name: str, unit: str = "", purpose: str = "") -> None:
    """Refuse a size above its limit.

    Raises:
        UserError: names it.
    """
    if value > most:
        unit = f" {unit}" if unit else ""
        shown = str(value) if value < 10**18 else f"about 10^{value.bit_length() * 3 // 10}"
        purpose = f" {purpose}" if purpose else ""
        raise UserError(f"{name} (= {shown}{unit}) is too large{purpose}: {most} is the most.")


def _check_wavenet(spec: WaveNetSpec, place: str) -> None:
    within(len(spec.layer_arrays), MOST_ARRAYS, f"{place}layers", "layer arrays")
    within(sum(len(array.layers) for array in spec.layer_arrays), MOST_LAYERS, f"{place}layers", "layers")
    for i, array in enumerate(spec.layer_arrays):
        where = f"{place}layers[{i}]"
        sizes = {
            "channels": array.channels, "bottleneck": array.bottleneck,
            "condition_size": array.condition_size, "input_size": array.input_size, 
            "head.out_channels": array.head.out_channels, "head1x1.out_channels": array.head1x1.out_channels,
        }  # fmt: skip
        for name, value in sizes.items():
            within(value, MOST_CHANNELS, f"{where}.{name}")
        for layer in array.layers:
            within(layer.dilation, MOST_SAMPLES, f"{where}.dilations", "samples")
            within(layer.kernel_size, MOST_SAMPLES, f"{where}.kernel_sizes", "samples")
        within(array.head.dilation, MOST_SAMPLES, f"{where}.head.head_dilation", "samples")
        within(array.head.kernel_size, MOST_SAMPLES, f"{where}.head.kernel_size", "samples")
    if spec.head is not None:
        within(spec.head.channels, MOST_CHANNELS, f"{place}head.channels")
        within(spec.head.out_channels, MOST_CHANNELS, f"{place}head.out_channels")
        within(len(spec.head.kernel_sizes), MOST_LAYERS, f"{place}head.kernel_sizes", "entries")


def _width(array: LayerArraySpec) -> int:
    """The most channels that are held at a time."""
    return max(
        array.channels, array.condition_size, *(array.mid_channels(layer) for layer in array.layers), 1
    )

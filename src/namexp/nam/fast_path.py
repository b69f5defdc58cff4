"""Whether the C++ runtime plays a WaveNet through its special code for the A2 shapes.

Source: spec of ``is_a2_shape`` in NAM/wavenet/a2_fast.cpp of NeuralAmpModelerCore 0.5.5.
"""

from __future__ import annotations

from namexp.architectures.spec import ModelSpec
from namexp.architectures.wavenet import FILM_SITES, WaveNetSpec

A2_NAMES = {3: "A2-Lite", 8: "A2-Full"}
A2_KERNEL_SIZES = (6,) * 14 + (15, 15) + (6,) * 7
_CYCLE = (1, 3, 7, 17, 41, 101, 239)
A2_DILATIONS = (*_CYCLE, *_CYCLE, 1, 13, *_CYCLE)


def fast_path(spec: ModelSpec) -> str | None:
    """``A2-Lite`` or ``A2-Full``; None where the general code plays. ``head_scale`` is free."""
    if not isinstance(spec, WaveNetSpec) or len(spec.layer_arrays) != 1:
        return None
    (array,) = spec.layer_arrays
    plain = (
        spec.head is None
        and spec.condition_dsp is None
        and array.channels in A2_NAMES
        and array.bottleneck == array.channels
        and (array.input_size, array.condition_size) == (1, 1)
        and (array.groups_input, array.groups_input_mixin, array.layer1x1.groups) == (1, 1, 1)
        and array.layer1x1.active
        and not array.head1x1.active
        and array.slimmable is None
        and not any(array.film(site).active for site in FILM_SITES)
    )
    head = array.head
    shape = (
        tuple(layer.kernel_size for layer in array.layers) == A2_KERNEL_SIZES
        and tuple(layer.dilation for layer in array.layers) == A2_DILATIONS
        and (head.out_channels, head.kernel_size, head.bias, head.dilation) == (1, 16, True, 1)
    )
    activations = all(
        layer.gating_mode == "none"
        and layer.activation.type == "LeakyReLU"
        and abs(layer.activation.get("negative_slope") - 0.01) < 1e-6
        for layer in array.layers
    )
    return A2_NAMES[array.channels] if plain and shape and activations else None

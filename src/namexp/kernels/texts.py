"""The C++ texts of kernels that depend on a shape; the arithmetic is in ``native/``."""

from __future__ import annotations

from collections.abc import Iterable

from namexp.architectures.wavenet import LayerArraySpec, LayerSpec

MRSTFT = """
#include "mrstft.hpp"
using namespace namexp;
using Loss = Mrstft<{resolutions}>;

extern "C" {{

EXPORTED i64 row(i64 samples) {{ return Loss::row(samples); }}

EXPORTED void sums(const float* prediction, const float* target, const float* windows, i64 items,
                   i64 submodels, i64 samples, float eps, int threads, double* sums, float* p, float* q) {{
  Loss::sums(prediction, target, windows, {{items, submodels, samples}}, eps, threads, sums, p, q);
}}

EXPORTED void gradient(const float* errors, const float* distances, const float* p, const float* q,
                       i64 items, i64 submodels, i64 samples, int threads, float* gradient) {{
  Loss::gradient(errors, distances, p, q, {{items, submodels, samples}}, threads, gradient);
}}

}}
"""


def mrstft_text(resolutions: Iterable[tuple[int, int, int]]) -> str:
    """Of the MRSTFT loss for (FFT, hop, window) sizes."""
    types = ", ".join(f"Resolution<{n_fft}, {hop}, {window}>" for n_fft, hop, window in resolutions)
    return MRSTFT.format(resolutions=types)


def array_text(spec: LayerArraySpec) -> str:
    """The C++ text of the library for arrays of this shape."""
    head, one, to_head = spec.head, spec.layer1x1, spec.head1x1
    numbers = {
        "INPUTS": spec.input_size,
        "C": spec.channels,
        "B": spec.bottleneck,
        "D": spec.condition_size,
        "H": spec.head_in_channels,
        "OUTPUTS": head.out_channels,
        "HEAD_KERNEL": head.kernel_size,
        "HEAD_DILATION": head.dilation,
        "HEAD_BIAS": int(head.bias),
        "GROUPS_INPUT": spec.groups_input,
        "GROUPS_MIX": spec.groups_input_mixin,
        "LAYER1X1": int(one.active),
        "GROUPS_LAYER1X1": one.groups if one.active else 1,
        "HEAD1X1": int(to_head.active),
        "GROUPS_HEAD1X1": to_head.groups if to_head.active else 1,
    }
    constants = "".join(f"  static constexpr int {name} = {value};\n" for name, value in numbers.items())
    kinds = ", ".join(f"namexp::Layer<Shape, {kind}>::kind()" for kind in layer_kinds(spec))
    return (
        '#include "array_items.hpp"\nusing namespace namexp;\n'
        f"struct Shape {{\n{constants}}};\n"
        f"static const Kind kinds[] = {{{kinds}}};\n"
        "NAMEXP_LIBRARY(Shape)\n"
    )


def layer_kind(layer: LayerSpec) -> str:
    """What the compiled code of a layer depends on."""
    secondary = layer.secondary_activation
    if secondary is None:
        between = f"Single<{layer.activation.type}>"
    else:
        name = "Gated" if layer.gating_mode == "gated" else "Blended"
        between = f"{name}<{layer.activation.type}, {secondary.type}>"
    return f"{layer.kernel_size}, {between}"


def layer_kinds(spec: LayerArraySpec) -> list[str]:
    """The different kinds of its layers, in the order of the library's."""
    return sorted({layer_kind(layer) for layer in spec.layers})

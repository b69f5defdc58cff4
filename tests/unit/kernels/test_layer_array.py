"""The kernel for layer arrays against torch's own operations in float64.

Letters: B batch, C channels, D condition size, H channels of the head sum, L samples.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from namexp.architectures.activation import FIXED_PARAMETERS, ActivationSpec
from namexp.architectures.wavenet import (
    FilmSpec,
    Head1x1Spec,
    HeadSpec,
    Layer1x1Spec,
    LayerArraySpec,
    LayerSpec,
)
from namexp.kernels import array_library, layer_array
from namexp.kernels.array_library import why_not
from namexp.kernels.layer_array import ArrayInputs, layer_arrays
from namexp.models.wavenet.layer_array import LayerArray
from tests.compilers import needs_compiler

pytestmark = needs_compiler

OUTPUT, GRADIENT = 1e-6, 1e-5  # norm of the difference over norm, by tensor
FIXED = sorted(set(FIXED_PARAMETERS) - {"PReLU"})


def activation(name: str, draw: random.Random | None = None) -> ActivationSpec:
    """With the default parameters, or drawn ones."""
    parameters = FIXED_PARAMETERS[name]
    factor = draw.uniform(0.3, 2.0) if draw else 1.0
    return ActivationSpec(name, tuple((key, value * factor) for key, value in parameters.items()))


def array(channels: int = 3, **changes: object) -> LayerArraySpec:
    """Two layers with LeakyReLU; ``changes`` replace fields."""
    layers = tuple(LayerSpec(3, d, activation("LeakyReLU")) for d in (1, 5))
    spec = LayerArraySpec(1, 1, channels, channels, HeadSpec(1, 4, True), layers)
    return replace(spec, **changes)


def drawn_array(draw: random.Random) -> LayerArraySpec:
    """Any shape that the kernel supports."""
    groups = draw.choice([1, 1, 1, 2, 3])
    channels = groups * draw.randint(1, 12 // groups)
    layer1x1 = draw.random() < 0.8
    bottleneck = groups * draw.randint(1, 9 // groups) if layer1x1 else channels
    condition = draw.choice([1, 1, groups, 2])
    layers = tuple(_drawn_layer(draw) for _ in range(draw.randint(1, 4)))
    head1x1 = draw.random() < 0.4
    head_out = groups * draw.randint(1, 3)
    return LayerArraySpec(
        input_size=draw.randint(1, 5),
        condition_size=condition,
        channels=channels,
        bottleneck=bottleneck,
        head=HeadSpec(draw.randint(1, 3), draw.choice([1, 3, 16]), draw.random() < 0.5, draw.choice([1, 2])),
        layers=layers,
        groups_input=groups,
        groups_input_mixin=groups if condition == groups else 1,
        layer1x1=Layer1x1Spec(layer1x1, draw.choice([1, groups]) if layer1x1 else 1),
        head1x1=Head1x1Spec(head1x1, head_out, draw.choice([1, groups])) if head1x1 else Head1x1Spec(),
    )


def _drawn_layer(draw: random.Random) -> LayerSpec:
    mode = draw.choice(["none", "none", "gated", "blended"])
    primary = activation(draw.choice(FIXED), draw)
    secondary = activation(draw.choice(FIXED), draw) if mode != "none" else None
    return LayerSpec(draw.randint(1, 7), draw.choice([1, 2, 9, 40]), primary, mode, secondary)


@dataclass
class Signals:
    """Inputs of one array, and what the outputs are multiplied with to get gradients."""

    x: Tensor
    condition: Tensor
    head_input: Tensor | None
    g_out: Tensor | None
    g_head: Tensor

    def to(self, dtype: torch.dtype) -> Signals:
        """Leaves of their own in another precision."""
        names = ("x", "condition", "head_input", "g_out", "g_head")
        values = [None if t is None else t.detach().to(dtype) for t in (getattr(self, n) for n in names)]
        return Signals(*[t if t is None else t.requires_grad_() for t in values])


def drawn_signals(spec: LayerArraySpec, length: int, *, items: int, residual: bool, head: bool) -> Signals:
    """Noise of one level; the condition and the head input are longer than needed."""
    past = sum((layer.kernel_size - 1) * layer.dilation for layer in spec.layers)
    out = length - spec.receptive_field + 1
    head_input = torch.randn(items, spec.head_in_channels, length - past + 3) if head else None
    return Signals(
        torch.randn(items, spec.input_size, length),
        torch.randn(items, spec.condition_size, length + 5),
        head_input,
        torch.randn(items, spec.channels, out) if residual else None,
        torch.randn(items, spec.head.out_channels, out),
    )


Compute = Callable[[LayerArray, Signals], tuple[Tensor | None, Tensor]]


def plain(module: LayerArray, s: Signals) -> tuple[Tensor | None, Tensor]:
    return module(s.x, s.condition, s.head_input, residual=s.g_out is not None)


def fast(module: LayerArray, s: Signals) -> tuple[Tensor | None, Tensor]:
    inputs = module.inputs(s.x, s.condition, s.head_input, residual=s.g_out is not None)
    computed = layer_arrays([inputs])
    assert computed is not None, "the kernel does this"
    return computed[0]


def everything(compute: Compute, module: LayerArray, s: Signals) -> dict[str, Tensor | None]:
    """Outputs and all gradients by name."""
    module.zero_grad(set_to_none=True)
    out, head = compute(module, s)
    score = (head * s.g_head.detach()).sum()
    if out is not None and s.g_out is not None:
        score = score + (out * s.g_out.detach()).sum()
    score.backward()
    found = {"out": out, "head": head, "x": s.x.grad, "condition": s.condition.grad}
    found["head_input"] = None if s.head_input is None else s.head_input.grad
    for name, parameter in module.named_parameters():
        found[name] = None if parameter.grad is None else parameter.grad.clone()
    return found


def assert_as_float64(spec: LayerArraySpec, *, length: int, items: int, residual: bool, head: bool) -> None:
    module = LayerArray(spec)
    exact = LayerArray(spec).double()
    exact.load_state_dict(module.state_dict())
    signals = drawn_signals(spec, length, items=items, residual=residual, head=head)
    ours = everything(fast, module, signals.to(torch.float32))
    reference = everything(plain, exact, signals.to(torch.float64))
    for name, expected in reference.items():
        got = ours[name]
        assert (got is None) == (expected is None), name
        if got is None or expected is None:
            continue
        assert got.shape == expected.shape, name
        limit = OUTPUT if name in ("out", "head") else GRADIENT
        error = (got.double() - expected).norm() / expected.norm().clamp(min=1e-30)
        assert error < limit, f"{name}: {error:.1e} of {spec}"


@pytest.mark.parametrize("seed", range(20))
def test_drawn_architectures_are_float64_to_rounding(seed: int) -> None:
    draw = random.Random(seed)
    spec = drawn_array(draw)
    length = spec.receptive_field + draw.choice([0, 1, 63, 700])
    residual, head, items = draw.random() < 0.5, draw.random() < 0.5, draw.randint(1, 3)
    assert_as_float64(spec, length=length, items=items, residual=residual, head=head)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_drawn_architectures_in_many_chunks(seed: int, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_library, "CHUNK", 1)  # the shortest chunks
    if not kept:
        monkeypatch.setattr(layer_array, "KEPT_BYTES", 0)
    draw = random.Random(seed)
    spec = drawn_array(draw)
    length = spec.receptive_field + 3 * array_library.BLOCK + draw.choice([0, 1, 63, 700])
    residual, head = draw.random() < 0.5, draw.random() < 0.5
    assert_as_float64(spec, length=length, items=2, residual=residual, head=head)


@pytest.mark.parametrize("dilation", [300, 800])
def test_layers_that_reach_beyond_a_chunk(dilation: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_library, "CHUNK", 1)
    layers = tuple(LayerSpec(3, d, activation("LeakyReLU")) for d in (1, dilation, 2 * dilation, 7))
    spec = array(3, layers=layers)
    length = spec.receptive_field + 1000
    assert_as_float64(spec, length=length, items=2, residual=True, head=True)


@pytest.mark.parametrize("mode", ["none", "gated", "blended"])
def test_every_activation(mode: str) -> None:
    layers = tuple(
        LayerSpec(2, 1, activation(name), mode, activation(FIXED[-i]) if mode != "none" else None)
        for i, name in enumerate(FIXED)
    )
    spec = array(4, layers=layers)
    assert_as_float64(spec, length=300, items=2, residual=True, head=True)


@pytest.mark.parametrize("channels", [1, 8, 11, 16, 33])
def test_widths(channels: int) -> None:
    assert_as_float64(array(channels), length=1000, items=2, residual=True, head=False)


@pytest.fixture
def a2() -> LayerArraySpec:
    """Eight channels, the kernels and dilations of the A2 recipe."""
    kernels = [6] * 14 + [15] * 2 + [6] * 7
    dilations = [1, 3, 7, 17, 41, 101, 239] * 2 + [1, 13] + [1, 3, 7, 17, 41, 101, 239]
    layers = [LayerSpec(k, d, activation("LeakyReLU")) for k, d in zip(kernels, dilations, strict=True)]
    return array(8, layers=tuple(layers), head=HeadSpec(1, 16, True))


def test_the_a2_recipe(a2: LayerArraySpec) -> None:
    assert_as_float64(a2, length=a2.receptive_field + 4000, items=2, residual=False, head=False)


def _same(one: dict[str, Tensor | None], other: dict[str, Tensor | None]) -> bool:
    pairs = [(one[name], other[name]) for name in one]
    return all((a is None and b is None) or (a is not None and torch.equal(a, b)) for a, b in pairs)


def test_the_same_bits_with_any_number_of_threads(a2: LayerArraySpec) -> None:
    module = LayerArray(a2)
    signals = drawn_signals(a2, a2.receptive_field + 900, items=5, residual=True, head=False)
    results = []
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        results.append(everything(fast, module, signals.to(torch.float32)))
    assert _same(results[0], results[1])
    assert _same(results[0], results[2])


def test_the_size_of_chunks_changes_no_bit(a2: LayerArraySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    module = LayerArray(a2)
    signals = drawn_signals(a2, a2.receptive_field + 5000, items=2, residual=True, head=True)
    whole = everything(fast, module, signals.to(torch.float32))
    for numbers in (8 * 768, 8 * 3 * 768):
        monkeypatch.setattr(array_library, "CHUNK", numbers)
        parts = everything(fast, module, signals.to(torch.float32))
        assert torch.equal(parts["head"], whole["head"])
        assert torch.equal(parts["out"], whole["out"])
        for name in whole:  # sums over time are added in another order
            torch.testing.assert_close(parts[name], whole[name], rtol=1e-4, atol=1e-3)


def test_what_is_computed_again_is_the_same_bits(a2: LayerArraySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = (*a2.layers[:3], LayerSpec(3, 2, activation("SiLU"), "gated", activation("Sigmoid")))
    for spec in (a2, replace(a2, layers=layers)):
        module = LayerArray(spec)
        signals = drawn_signals(spec, spec.receptive_field + 900, items=3, residual=True, head=True)
        kept = everything(fast, module, signals.to(torch.float32))
        monkeypatch.setattr(layer_array, "KEPT_BYTES", 0)
        assert _same(kept, everything(fast, module, signals.to(torch.float32)))
        monkeypatch.undo()


def test_nothing_is_kept_where_nothing_learns(a2: LayerArraySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    module = LayerArray(a2)
    x = torch.randn(1, 1, a2.receptive_field)
    kept: list[int] = []
    monkeypatch.setattr(
        layer_array, "borrow", lambda size: kept.append(size) or torch.empty(size + 64).byte()
    )
    with torch.no_grad():
        layer_arrays([module.inputs(x, x, None, residual=False)])
    assert kept == []
    layer_arrays([module.inputs(x, x, None, residual=False)])
    assert len(kept) == 1


def test_backward_can_be_asked_twice(a2: LayerArraySpec) -> None:
    module = LayerArray(a2)
    x = torch.randn(2, 1, a2.receptive_field + 300)
    computed = layer_arrays([module.inputs(x, x, None, residual=False)])
    assert computed is not None
    score = computed[0][1].square().sum()
    once, again = (
        torch.autograd.grad(score, module.rechannel.weight, retain_graph=True)[0] for _ in range(2)
    )
    assert torch.equal(once, again)


def test_two_forwards_before_their_backwards(a2: LayerArraySpec) -> None:
    module = LayerArray(a2)
    xs = [torch.randn(2, 1, a2.receptive_field + 300) for _ in range(2)]

    def score(x: Tensor) -> Tensor:
        computed = layer_arrays([module.inputs(x, x, None, residual=False)])
        assert computed is not None
        return computed[0][1].square().sum()

    def gradient(value: Tensor) -> Tensor:
        return torch.autograd.grad(value, module.rechannel.weight)[0]

    one_by_one = [gradient(score(x)) for x in xs]
    both = [score(x) for x in xs]
    assert all(torch.equal(gradient(v), g) for v, g in zip(both, one_by_one, strict=True))


def test_a_network_that_diverged_leaves_nothing_behind(a2: LayerArraySpec) -> None:
    module = LayerArray(a2)
    signals = drawn_signals(a2, a2.receptive_field + 900, items=2, residual=True, head=False)
    before = everything(fast, module, signals.to(torch.float32))
    diverged = replace(signals, x=torch.full_like(signals.x, torch.nan))
    after = everything(fast, module, diverged.to(torch.float32))
    assert after["head"] is not None
    assert after["head"].isnan().all()
    assert _same(before, everything(fast, module, signals.to(torch.float32)))


def test_arrays_side_by_side_are_the_same_bits_as_alone() -> None:
    modules = [LayerArray(array(channels)) for channels in (3, 8, 5)]
    signals = [drawn_signals(m.spec, 500, items=2, residual=True, head=False) for m in modules]
    inputs = [m.inputs(s.x, s.condition, None, residual=True) for m, s in zip(modules, signals, strict=True)]
    together = layer_arrays(inputs)
    assert together is not None
    for one, computed in zip(inputs, together, strict=True):
        alone = layer_arrays([one])
        assert alone is not None
        assert torch.equal(alone[0][1], computed[1])


def test_gradients_are_given_only_where_they_are_wanted() -> None:
    module = LayerArray(array())
    signals = drawn_signals(module.spec, 200, items=1, residual=False, head=False).to(torch.float32)
    module.layers[0].requires_grad_(False)
    x = signals.x.detach()
    (_, head) = fast(module, replace(signals, x=x))
    head.sum().backward()
    assert x.grad is None
    assert all(p.grad is None for p in module.layers[0].parameters())
    assert all(p.grad is not None for p in module.head_rechannel.parameters())
    # nothing depends on the 1x1 of the last layer: its decay would shrink weights that do not learn
    assert all(p.grad is None for p in module.layers[-1].layer1x1.parameters())


def test_strided_signals(a2: LayerArraySpec) -> None:
    module = LayerArray(array(3, input_size=2))
    wide = torch.randn(3, 4, 400)
    x, condition = wide[:, ::2, ::2], wide[:, 1:2].transpose(0, 2)[:200].transpose(0, 2)
    fresh = Signals(x.contiguous(), condition.contiguous(), None, None, torch.ones(1))
    strided = Signals(x, condition, None, None, torch.ones(1))
    assert torch.equal(fast(module, fresh)[1], fast(module, strided)[1])


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (array(films={"conv_post_film": FilmSpec(True)}), "conv_post_film is active"),
        (array(layers=(LayerSpec(2, 1, ActivationSpec("PReLU", (), (0.2,))),)), "PReLU is learned"),
        (
            array(layers=(LayerSpec(2, 1, ActivationSpec("LeakyReLU", (("negative_slope", -0.1),))),)),
            "the LeakyReLU has a negative slope below 0",
        ),
    ],
)
def test_what_the_kernel_lacks_is_named(spec: LayerArraySpec, reason: str) -> None:
    assert why_not(spec) == reason


def test_wide_arrays_are_left_to_torch() -> None:
    x = torch.randn(1, 1, 100)
    for channels, ours in ((64, True), (65, False)):
        module = LayerArray(array(channels))
        computed = layer_arrays([module.inputs(x, x, None, residual=False)])
        assert (computed is not None) is ours


def test_other_precisions_are_left_to_torch() -> None:
    module = LayerArray(array()).double()
    x = torch.randn(1, 1, 100, dtype=torch.float64)
    assert layer_arrays([ArrayInputs(module.spec, tuple(module.parameters()), x, x, None, False)]) is None
    single = LayerArray(array())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer_arrays([single.inputs(x.float(), x.float(), None, residual=False)]) is None

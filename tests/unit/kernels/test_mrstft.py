"""The MRSTFT kernel against torch in float64: sums, the gradient of each, and that nothing else matters."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from namexp.kernels import compiler, fallback, mrstft
from namexp.kernels.mrstft import MrstftKernel, Resolution
from tests.compilers import needs_compiler

pytestmark = needs_compiler

DEFAULTS = (Resolution(1024, 120, 600), Resolution(2048, 240, 1200), Resolution(512, 50, 240))
OTHERS = (
    Resolution(32, 16, 32),
    Resolution(64, 17, 63),
    Resolution(256, 40, 130),
    Resolution(4096, 300, 1111),
)
EPS = 1e-8


@pytest.fixture(scope="module")
def kernel() -> MrstftKernel:
    return _kernel(DEFAULTS)


def _kernel(resolutions: tuple[Resolution, ...]) -> MrstftKernel:
    return MrstftKernel(resolutions, EPS)


def _signals(B: int, S: int, L: int, *, level: float = 0.1, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Of items of very different loudness."""
    generator = torch.Generator().manual_seed(seed)
    levels = level * torch.logspace(0, -1.5, B)[:, None]
    target = levels * torch.randn(B, L, generator=generator)
    return target[:, None] + 0.3 * levels[:, None] * torch.randn(B, S, L, generator=generator), target


def _reference(prediction: Tensor, target: Tensor, resolutions: tuple[Resolution, ...] = DEFAULTS) -> Tensor:
    """The sums by torch's operations, in the order and precision of auraloss: its window is float32."""
    errors, energies, distances = [], [], []
    for resolution in resolutions:
        y, x = _magnitudes(target, resolution), [_magnitudes(row, resolution) for row in prediction.unbind(1)]
        errors.append(torch.stack([((row - y) ** 2).sum() for row in x]))
        energies.append((y**2).sum().expand(len(x)))
        distances.append(torch.stack([(row.log() - y.log()).abs().mean((1, 2)).sum() for row in x]))
    return torch.stack([*errors, *energies, torch.stack(distances).sum(0)], dim=1)


def _magnitudes(x: Tensor, resolution: Resolution) -> Tensor:
    window = torch.hann_window(resolution.win_length, dtype=torch.float32)
    spectrum = torch.stft(x, *resolution, window=window, return_complex=True)
    return torch.sqrt(torch.clamp(spectrum.real**2 + spectrum.imag**2, min=EPS))


def _gradients(sums: Callable[[Tensor, Tensor], Tensor], prediction: Tensor, target: Tensor) -> list[Tensor]:
    """Of every sum (over the submodels) that depends on the prediction, in float64."""
    leaf = prediction.clone().requires_grad_()
    of_submodels = sums(leaf, target).sum(0)
    R = len(of_submodels) // 2
    wanted = [of_submodels[i] for i in [*range(R), 2 * R]]
    return [torch.autograd.grad(value, leaf, retain_graph=True)[0].double() for value in wanted]


def _distance(gradient: Tensor, expected: Tensor) -> float:
    return ((gradient - expected).norm() / expected.norm()).item()


@pytest.mark.parametrize("L", [1025, 1026, 1199, 2047, 3001, 8192])
@pytest.mark.parametrize(("B", "S"), [(1, 1), (3, 2), (5, 3), (16, 1)])
def test_sums_are_torchs(kernel: MrstftKernel, B: int, S: int, L: int) -> None:
    prediction, target = _signals(B, S, L)
    sums = kernel.sums(prediction, target)
    assert sums.shape == (S, 7)
    torch.testing.assert_close(
        sums.double(), _reference(prediction.double(), target.double()), rtol=5e-7, atol=0
    )


@pytest.mark.parametrize("L", [1025, 1198, 2049, 3001])
@pytest.mark.parametrize("S", [1, 2, 3])
def test_gradients_of_errors_are_torchs(kernel: MrstftKernel, S: int, L: int) -> None:
    prediction, target = _signals(3, S, L, seed=L + S)
    gradients = _gradients(kernel.sums, prediction, target)
    expected = _gradients(_reference, prediction.double(), target.double())
    for gradient, theirs in zip(gradients[:-1], expected[:-1], strict=True):
        assert _distance(gradient, theirs) < 2e-6


def test_gradients_of_distances_are_as_good_as_torchs_in_float32(kernel: MrstftKernel) -> None:
    """Over many draws: the faintest bin's is the greatest, by 1 / x, and rounding may flip a sign."""
    ours, theirs = [], []
    for seed in range(20):
        prediction, target = _signals(2, 1, 2000, seed=seed)
        expected = _gradients(_reference, prediction.double(), target.double())[-1]
        ours.append(_distance(_gradients(kernel.sums, prediction, target)[-1], expected))
        theirs.append(_distance(_gradients(_reference, prediction, target)[-1], expected))
    median, worst = sorted(ours)[10], max(ours)
    assert median < 3e-4
    assert median < 3 * sorted(theirs)[10]
    assert worst < 0.1


@pytest.mark.parametrize("level", [1e-4, 1e-5])
def test_clamped_bins_have_no_gradient(kernel: MrstftKernel, level: float) -> None:
    """Faint signals: some or most bins are below the clamp, in prediction, target or both."""
    prediction, target = _signals(3, 2, 1500, level=level)
    expected = _gradients(_reference, prediction.double(), target.double())
    for gradient, theirs in zip(_gradients(kernel.sums, prediction, target), expected, strict=True):
        assert _distance(gradient, theirs) < 1e-3
    assert expected[-1].norm() > 0


def test_gradients_are_slopes_of_the_sums(kernel: MrstftKernel) -> None:
    """By differences in float64, without torch's derivatives."""
    prediction, target = _signals(2, 1, 1300)
    direction = torch.randn(prediction.shape, generator=torch.Generator().manual_seed(1)).double()
    step = 1e-8 * direction  # at faint bins the sums curve strongly
    up = _reference(prediction.double() + step, target.double())
    down = _reference(prediction.double() - step, target.double())
    slopes = ((up - down) / 2e-8)[0, [0, 1, 2, 6]]
    gradients = _gradients(kernel.sums, prediction, target)
    for slope, gradient in zip(slopes, gradients, strict=True):
        assert abs((gradient * direction).sum() - slope) < 1e-4 * gradient.norm()


def test_the_gradient_is_linear_in_that_of_the_sums(kernel: MrstftKernel) -> None:
    prediction, target = _signals(2, 3, 1500)
    leaf = prediction.clone().requires_grad_()
    of_sums = torch.randn(3, 7)
    gradient = torch.autograd.grad(kernel.sums(leaf, target), leaf, of_sums)[0]
    p0, p1, p2, q = _gradients(kernel.sums, prediction, target)
    weights = of_sums.double()[None, :, :, None]
    expected = weights[:, :, 0] * p0 + weights[:, :, 1] * p1 + weights[:, :, 2] * p2 + weights[:, :, 6] * q
    torch.testing.assert_close(gradient.double(), expected, rtol=1e-5, atol=1e-5)  # energies do not count


@pytest.mark.parametrize("L", [2049, 5000])
def test_other_resolutions(L: int) -> None:
    kernel = _kernel(OTHERS)
    prediction, target = _signals(2, 2, L)
    expected = _reference(prediction.double(), target.double(), OTHERS)
    torch.testing.assert_close(kernel.sums(prediction, target).double(), expected, rtol=5e-7, atol=0)
    reference = _gradients(lambda x, y: _reference(x, y, OTHERS), prediction.double(), target.double())
    for gradient, theirs in zip(
        _gradients(kernel.sums, prediction, target)[:-1], reference[:-1], strict=True
    ):
        assert _distance(gradient, theirs) < 2e-6


@pytest.mark.parametrize(("B", "S", "L"), [(1, 2, 1500), (7, 2, 1333), (16, 1, 2048)])
def test_the_same_bits_with_any_number_of_threads(kernel: MrstftKernel, B: int, S: int, L: int) -> None:
    prediction, target = _signals(B, S, L)
    results = []
    for threads in (1, 2, 3, 4, 32):
        torch.set_num_threads(threads)
        leaf = prediction.clone().requires_grad_()
        sums = kernel.sums(leaf, target)
        results.append((sums.detach(), torch.autograd.grad(sums[:, 1:].sum(), leaf)[0]))
    for sums, gradient in results[1:]:
        assert torch.equal(sums, results[0][0])
        assert torch.equal(gradient, results[0][1])


def test_an_items_gradient_does_not_depend_on_the_others(kernel: MrstftKernel) -> None:
    prediction, target = _signals(6, 2, 1400)
    together = _gradients(kernel.sums, prediction, target)
    for item in range(6):
        alone = _gradients(kernel.sums, prediction[item : item + 1], target[item : item + 1])
        assert all(torch.equal(a[0], b[item]) for a, b in zip(alone, together, strict=True))


def test_what_is_not_finite_stays_where_it_is(kernel: MrstftKernel) -> None:
    prediction, target = _signals(3, 3, 1400)
    plain, gradients = kernel.sums(prediction, target), _gradients(kernel.sums, prediction, target)
    prediction[1, 0, 700] = torch.nan
    prediction[1, 2, 700] = 1e30  # its power overflows
    sums = kernel.sums(prediction, target)
    assert torch.equal(sums[1], plain[1])
    assert torch.isfinite(sums[[0, 2]][:, [0, 1, 2, 6]]).logical_not().all()
    for gradient, before in zip(_gradients(kernel.sums, prediction, target), gradients, strict=True):
        assert torch.equal(gradient[[0, 2]], before[[0, 2]])
        assert torch.equal(gradient[1, 1], before[1, 1])


def test_a_perfect_prediction_has_neither_error_nor_gradient(kernel: MrstftKernel) -> None:
    _, target = _signals(3, 1, 2222)
    prediction = torch.stack([target, target], dim=1)
    sums = kernel.sums(prediction, target)
    assert torch.equal(sums[:, [0, 1, 2, 6]], torch.zeros(2, 4))
    assert (sums[:, 3:6] > 0).all()
    for gradient in _gradients(kernel.sums, prediction, target):
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_impulses(kernel: MrstftKernel) -> None:
    """All bins of a frame are alike: the product of their mantissas is as large as it can be."""
    prediction, target = torch.zeros(1, 3, 4000), torch.zeros(1, 4000)
    prediction[..., 100::2000], target[:, 150::2000] = torch.tensor([[1e-3], [1.0], [1e3]]), 0.1
    expected = _reference(prediction.double(), target.double())
    torch.testing.assert_close(kernel.sums(prediction, target).double(), expected, rtol=1e-6, atol=0)


def test_silence(kernel: MrstftKernel) -> None:
    prediction, target = _signals(2, 1, 1500)
    silence = torch.zeros_like(target)
    frames, bins = [1500 // hop + 1 for _, hop, _ in DEFAULTS], [n // 2 + 1 for n, _, _ in DEFAULTS]
    least = [EPS * 2 * f * b for f, b in zip(frames, bins, strict=True)]
    sums = kernel.sums(torch.zeros_like(prediction), silence)
    torch.testing.assert_close(sums[0], torch.tensor([0.0, 0.0, 0.0, *least, 0.0]))
    of_silence, of_noise = torch.zeros_like(prediction), prediction
    for gradient in _gradients(kernel.sums, of_silence, target):  # the clamp has no slope
        assert torch.equal(gradient, torch.zeros_like(gradient))
    expected = _gradients(_reference, of_noise.double(), silence.double())
    for gradient, theirs in zip(_gradients(kernel.sums, of_noise, silence), expected, strict=True):
        assert _distance(gradient, theirs) < 1e-3


def test_tensors_need_not_be_contiguous(kernel: MrstftKernel) -> None:
    prediction, target = _signals(3, 2, 1500)
    spread, longer = torch.zeros(3, 2, 1500, 2), torch.zeros(3, 1700)
    spread[..., 1], longer[:, 200:] = prediction, target
    expected = _gradients(kernel.sums, prediction, target)
    assert torch.equal(kernel.sums(spread[..., 1], longer[:, 200:]), kernel.sums(prediction, target))
    leaf = prediction.transpose(0, 1).contiguous().requires_grad_()
    gradient = torch.autograd.grad(kernel.sums(leaf.transpose(0, 1), longer[:, 200:])[:, 6].sum(), leaf)[0]
    assert torch.equal(gradient.transpose(0, 1).double(), expected[-1])


def test_without_gradient_the_sums_are_the_same_bits(kernel: MrstftKernel) -> None:
    prediction, target = _signals(3, 2, 1500)
    with_gradient = kernel.sums(prediction.clone().requires_grad_(), target)
    plain = kernel.sums(prediction, target)
    assert with_gradient.requires_grad
    assert not plain.requires_grad
    assert torch.equal(plain, with_gradient)
    with torch.inference_mode():
        assert torch.equal(kernel.sums(prediction, target), plain)


def test_other_tensors_are_refused(kernel: MrstftKernel) -> None:
    prediction, target = _signals(2, 1, 1500)
    refused = [
        (prediction.double(), target.double()),
        (prediction, target.clone().requires_grad_()),
        (prediction, target[:, 1:]),
        (prediction[:, 0], target),
    ]
    for tensors in refused:
        with pytest.raises(ValueError, match="needs a prediction"):
            kernel.sums(*tensors)
    with pytest.raises(ValueError, match=re.escape("need at least 1025 samples, got 1024.")):
        kernel.sums(prediction[..., :1024], target[:, :1024])


# --- whether there is a kernel -----------------------------------------------------------------


@pytest.fixture
def _tried_anew(kernel: MrstftKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    del kernel  # without a compiler there is nothing to switch off
    monkeypatch.delenv("NAMEXP_KERNELS", raising=False)
    for cached in (mrstft._kernel, fallback._tell):
        cached.cache_clear()


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.usefixtures("_tried_anew")
def test_what_the_kernel_is_for_goes_through_it(
    kernel: MrstftKernel, caplog: pytest.LogCaptureFixture
) -> None:
    prediction, target = _signals(2, 2, 1500)
    sums = mrstft.sums_or_none(prediction, target, DEFAULTS, EPS)
    assert sums is not None
    assert torch.equal(sums, kernel.sums(prediction, target))
    assert mrstft.sums_or_none(prediction.double(), target.double(), DEFAULTS, EPS) is None
    assert mrstft.sums_or_none(prediction, target.clone().requires_grad_(), DEFAULTS, EPS) is None
    assert _warnings(caplog) == []


@pytest.mark.usefixtures("_tried_anew")
def test_switched_off_it_says_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prediction, target = _signals(2, 2, 1500)
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    assert mrstft.sums_or_none(prediction, target, DEFAULTS, EPS) is None
    monkeypatch.delenv("NAMEXP_KERNELS")
    assert mrstft.sums_or_none(prediction, target, DEFAULTS, EPS) is not None  # the next time
    assert _warnings(caplog) == []


@pytest.mark.usefixtures("_tried_anew")
def test_without_a_compiler_it_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    prediction, target = _signals(2, 2, 1500)
    monkeypatch.setenv("CXX", "no-such-compiler")
    tried = []
    monkeypatch.setattr(mrstft, "load", lambda sources: (tried.append(1), compiler.load(sources))[1])
    for _ in range(3):
        assert mrstft.sums_or_none(prediction, target, DEFAULTS, EPS) is None
    assert len(tried) == 1
    assert _warnings(caplog) == [
        "notice: the MRSTFT loss runs on torch's own operations, which is several times slower: "
        "no C++ compiler was found (no-such-compiler); install g++ or clang++, "
        "or pip install 'namexp[compiler]'"
    ]
    mrstft._kernel.cache_clear()

"""MRSTFT against auraloss and against the formula, computed frame by frame in float64."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import auraloss
import numpy as np
import pytest
import torch

from namexp.losses.spectral import Mrstft

RESOLUTIONS = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]  # FFT, hop, window


def _signals(n: int = 3000) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    target = torch.randn(2, n, generator=generator) * torch.tensor([[0.3], [0.02]])
    return target + 0.05 * torch.randn(2, n, generator=generator), target


def _magnitudes(x: np.ndarray, n_fft: int, hop: int, window_length: int) -> np.ndarray:
    """|STFT| of (B, L): frames centred on every hop-th sample of the reflected signal."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window_length) / window_length)
    left = (n_fft - window_length) // 2
    window = np.zeros(n_fft)
    window[left : left + window_length] = hann
    padded = np.pad(x, ((0, 0), (n_fft // 2, n_fft // 2)), mode="reflect")
    starts = range(0, padded.shape[1] - n_fft + 1, hop)
    spectra = np.stack([np.fft.rfft(padded[:, s : s + n_fft] * window) for s in starts])
    return np.sqrt(np.maximum(np.abs(spectra) ** 2, 1e-8))


def _by_formula(prediction: np.ndarray, target: np.ndarray) -> float:
    values = []
    for resolution in RESOLUTIONS:
        X, Y = _magnitudes(prediction, *resolution), _magnitudes(target, *resolution)
        convergence = math.sqrt(np.sum((Y - X) ** 2)) / math.sqrt(np.sum(Y**2))  # one norm over the batch
        values.append(convergence + np.mean(np.abs(np.log(X) - np.log(Y))))
    return float(np.mean(values))


def test_it_is_the_formula() -> None:
    prediction, target = _signals()
    expected = _by_formula(prediction.double().numpy(), target.double().numpy())
    assert Mrstft()(prediction, target).item() == pytest.approx(expected, rel=1e-5)


def test_the_convergence_is_one_norm_over_the_batch() -> None:
    prediction, target = _signals()
    loss = Mrstft()
    halves = (loss(prediction[:1], target[:1]) + loss(prediction[1:], target[1:])) / 2
    assert abs(loss(prediction, target) - halves) > 0.05  # so the test above can tell


def _with_gradient(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], prediction: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = prediction.clone().requires_grad_()
    value = loss(leaf, target)
    assert value.shape == ()
    return value.detach(), torch.autograd.grad(value, leaf)[0]


def _auraloss(prediction: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return auraloss.freq.MultiResolutionSTFTLoss()(prediction[:, None], target[:, None])


def test_without_kernels_it_is_auralosses_with_its_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    prediction, target = _signals()
    value, gradient = _with_gradient(Mrstft(), prediction, target)
    expected, theirs = _with_gradient(_auraloss, prediction, target)
    assert torch.equal(value, expected)
    assert torch.equal(gradient, theirs)


def test_with_kernels_it_is_auralosses_up_to_rounding() -> None:
    prediction, target = _signals()
    value, gradient = _with_gradient(Mrstft(), prediction, target)
    expected, theirs = _with_gradient(_auraloss, prediction.double(), target.double())
    torch.testing.assert_close(value.double(), expected, rtol=1e-6, atol=0)
    assert (gradient - theirs).norm() < 1e-3 * theirs.norm()  # signs of distances near zero may flip


def test_submodels_score_as_they_do_alone() -> None:
    first, target = _signals()
    rows = [first, target, 0.5 * first.flip(0)]
    prediction = torch.stack(rows, dim=1)
    for dtype in (torch.float32, torch.float64):  # with the kernel, where there is one, and without
        loss = Mrstft()
        alone = torch.stack([loss(row.to(dtype), target.to(dtype)) for row in rows])
        together = loss.of_submodels(prediction.to(dtype), target.to(dtype))
        assert together.dtype == dtype
        assert torch.equal(together, alone)


def test_prediction_and_target_are_not_exchangeable() -> None:
    _, target = _signals()
    loss = Mrstft()  # the convergence is relative to the target: 1/2 of it, or the whole
    assert (loss(target / 2, target) - loss(target, target / 2)).item() == pytest.approx(-0.5, abs=0.01)


def test_a_perfect_prediction_scores_zero() -> None:
    _, target = _signals()
    assert Mrstft()(target, target).item() == 0.0


def test_a_silent_target_gives_a_finite_value_and_gradient() -> None:
    prediction = (0.1 * torch.randn(1, 2000)).requires_grad_()
    loss = Mrstft()(prediction, torch.zeros(1, 2000))
    loss.backward()
    assert math.isfinite(loss.item())
    assert torch.isfinite(prediction.grad).all()


def test_shortest_signal() -> None:
    prediction, target = _signals(Mrstft.MIN_SAMPLES)
    expected = _by_formula(prediction.double().numpy(), target.double().numpy())
    assert Mrstft()(prediction, target).item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=re.escape("MRSTFT needs at least 1025 samples, got 1024.")):
        Mrstft()(prediction[:, 1:], target[:, 1:])


def test_different_shapes_are_refused() -> None:
    prediction, target = _signals()
    with pytest.raises(ValueError, match=re.escape("got (2, 3000) and (2, 2999)")):
        Mrstft()(prediction, target[:, 1:])

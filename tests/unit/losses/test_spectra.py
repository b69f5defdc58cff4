"""The loss for GPUs: auraloss's numbers and gradients, of all submodels at once."""

from __future__ import annotations

import pytest
import torch
from auraloss.freq import MultiResolutionSTFTLoss
from torch import Tensor

from namexp.losses import spectral
from namexp.losses.spectra import magnitudes, multi_resolution
from namexp.losses.spectral import Mrstft

LENGTHS = (1025, 1201, 3000)  # the shortest, one beyond the longest window, one like any other


def _reference() -> MultiResolutionSTFTLoss:
    """auraloss in float64, so that both can be held against each other closely."""
    loss = MultiResolutionSTFTLoss()
    for resolution in loss.stft_losses:
        resolution.window = resolution.window.double()
    return loss


def _signals(length: int) -> tuple[Tensor, Tensor]:
    target = torch.randn(3, length, dtype=torch.float64) * torch.tensor([[0.3], [0.02], [1.0]])
    prediction = target[:, None] + 0.05 * torch.randn(3, 2, length, dtype=torch.float64)
    return prediction.requires_grad_(), target


@pytest.mark.parametrize("length", LENGTHS)
def test_the_magnitudes_are_auralosses(length: int) -> None:
    _, target = _signals(length)
    for resolution in _reference().stft_losses:
        expected, _ = resolution.stft(target)
        torch.testing.assert_close(
            magnitudes(target, resolution), expected.transpose(-1, -2), rtol=1e-10, atol=1e-12
        )


@pytest.mark.parametrize("length", LENGTHS)
def test_losses_and_gradients_are_auralosses_for_every_submodel(length: int) -> None:
    prediction, target = _signals(length)
    reference = _reference()
    expected = torch.stack([reference(row[:, None], target[:, None]) for row in prediction.unbind(1)])
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64)
    (expected_gradient,) = torch.autograd.grad(expected @ weights, prediction)
    losses = multi_resolution(prediction, target, reference.stft_losses)
    (gradient,) = torch.autograd.grad(losses @ weights, prediction)
    assert losses.shape == (2,)
    torch.testing.assert_close(losses, expected, rtol=1e-10, atol=0.0)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-8, atol=1e-12)


def test_silence_and_a_perfect_prediction_are_no_exception() -> None:
    _, target = _signals(3000)
    target[1] = 0.0
    prediction = torch.stack([target, torch.zeros_like(target)], dim=1).requires_grad_()
    reference = _reference()
    expected = torch.stack([reference(row[:, None], target[:, None]) for row in prediction.unbind(1)])
    losses = multi_resolution(prediction, target, reference.stft_losses)
    torch.testing.assert_close(losses, expected, rtol=1e-10, atol=0.0)
    assert losses[0] == 0.0
    (gradient,) = torch.autograd.grad(losses.sum(), prediction)
    assert torch.isfinite(gradient).all()
    assert torch.equal(gradient[:, 0], torch.zeros_like(target))


def test_it_serves_every_device_but_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    served = []
    monkeypatch.setattr(
        spectral, "multi_resolution", lambda p, *_: served.append(p.device.type) or p[0, :, 0]
    )
    for device in ("cpu", "meta"):
        signal = torch.zeros(1, 2000, device=device)
        Mrstft()(signal, signal)
    assert served == ["meta"]

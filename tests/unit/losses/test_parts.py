"""Losses of a batch in parts: the sums add up to the loss of the whole, value and gradient."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from namexp.losses import parts, waveform
from namexp.losses.parts import Parts
from namexp.losses.spectral import Mrstft
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.loss import CaptureLoss

LOSSES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Parts]] = {
    "mse": (waveform.mse, parts.MSE),
    "esr": (waveform.esr, parts.ESR),
    "dc": (waveform.dc, parts.DC),
    "mrstft": (Mrstft(), Mrstft().parts),
}
CUTS = [[4, 4], [2, 2, 2, 2], [1, 7], [8]]


def _batch(*, silent: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """Eight windows of very different loudness, so that a mean of norms is not the norm."""
    target = (
        torch.randn(8, 1500, dtype=torch.float64) * torch.logspace(-3, 0, 8, dtype=torch.float64)[:, None]
    )
    prediction = 0.7 * target + 0.1 * target.flip(0)
    target[list(silent)] = 0.0
    return prediction, target


def _in_parts(loss: Parts, prediction: Tensor, target: Tensor, cut: list[int]) -> Tensor:
    """As a second submodel; the first one is nothing to it."""
    both = torch.stack([2 * prediction.detach(), prediction], dim=1)
    sums = [loss.sums(p, t) for p, t in zip(both.split(cut), target.split(cut), strict=True)]
    assert all(s.shape == (2, loss.num_sums) for s in sums)
    values = loss.value(torch.stack(sums).sum(dim=0))
    assert values.shape == (2,)
    return values[1]


@pytest.mark.parametrize("silent", [(), (0, 5), (0, 1, 2, 3)])
@pytest.mark.parametrize("cut", CUTS, ids=str)
@pytest.mark.parametrize("name", LOSSES)
def test_parts_add_up_to_the_whole(name: str, cut: list[int], silent: tuple[int, ...]) -> None:
    whole, in_parts = LOSSES[name]
    prediction, target = _batch(silent=silent)
    a, b = prediction.clone().requires_grad_(), prediction.clone().requires_grad_()
    expected, value = whole(a, target), _in_parts(in_parts, b, target, cut)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    gradients = [torch.autograd.grad(x, y)[0] for x, y in ((expected, a), (value, b))]
    assert gradients[0].norm() > 0
    assert (gradients[1] - gradients[0]).norm() < 1e-11 * gradients[0].norm()


def test_halves_that_are_averaged_would_not_do() -> None:
    prediction, target = _batch()
    for name in ("esr", "mrstft"):
        whole, _ = LOSSES[name]
        silent = target.clone()
        silent[:3] = 0.0
        halves = [whole(p, t) for p, t in zip(prediction.split(4), silent.split(4), strict=True)]
        assert abs(sum(halves) / 2 - whole(prediction, silent)) > 1e-3  # so the tests above can tell


@pytest.mark.parametrize("name", LOSSES)
def test_a_perfect_prediction_has_no_gradient(name: str) -> None:
    _, target = _batch(silent=(2,))
    prediction = target.clone().requires_grad_()
    value = _in_parts(LOSSES[name][1], prediction, target, [4, 4])
    value.backward()
    assert value.item() == 0.0
    assert prediction.grad is not None
    assert torch.equal(prediction.grad, torch.zeros_like(target))


def test_a_batch_of_silence_has_no_esr() -> None:
    prediction, target = _batch(silent=tuple(range(8)))
    assert _in_parts(parts.ESR, prediction, target, [4, 4]).item() == 0.0


def test_shapes_that_do_not_agree_are_refused() -> None:
    prediction, target = _batch()
    for loss in (parts.MSE, parts.ESR, parts.DC, Mrstft().parts):
        with pytest.raises(ValueError, match=re.escape("got (8, 1500) and (8, 1500)")):
            loss.sums(prediction, target)
        with pytest.raises(ValueError, match=re.escape("got (8, 1, 1500) and (8, 1499)")):
            loss.sums(prediction[:, None], target[:, 1:])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
def test_every_term_of_every_submodel(dtype: torch.dtype, tolerance: float) -> None:
    config = LossConfig(
        mse_weight=1.0, esr_weight=0.1, dc_weight=0.2, mrstft_weight=0.3, pre_emphasis_mse_weight=0.4,
        pre_emphasis_mse_coefficient=0.85, pre_emphasis_mrstft_weight=0.5,
        pre_emphasis_mrstft_coefficient=0.9, val_loss="esr",
    )  # fmt: skip
    loss = CaptureLoss(config)
    rows, target = (x.to(dtype) for x in _batch())
    prediction = torch.stack([rows, 0.5 * rows, rows + 0.01], dim=1)
    expected = loss.values(prediction, target)
    assert expected.shape == (3, 6)
    sums = sum(loss.sums(p, t) for p, t in zip(prediction.split(2), target.split(2), strict=True))
    assert isinstance(sums, Tensor)
    torch.testing.assert_close(loss.values_of_sums(sums), expected, rtol=tolerance, atol=0)

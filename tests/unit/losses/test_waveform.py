"""Losses on samples, by algebra."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from namexp.losses.waveform import check_shapes, dc, esr, mse, pre_emphasis


def _pair() -> tuple[Tensor, Tensor]:
    prediction = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 1.0, -1.0]])
    target = torch.tensor([[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 0.0, 0.0]])
    return prediction, target


def test_mse_is_over_all_samples() -> None:
    # errors 0 1 2 3 and 0 -2 1 -1: (0+1+4+9 + 0+4+1+1) / 8
    assert mse(*_pair()).item() == pytest.approx(20 / 8)


def test_esr_is_the_mean_of_the_windows_ratios() -> None:
    prediction, target = _pair()  # the first: errors 0 1 2 3, energy 4
    target[1] *= 0.5  # the second: errors 0 -1 1 -1, energy 1
    assert esr(prediction, target).item() == pytest.approx((14 / 4 + 3 / 1) / 2)


def test_esr_of_silence_is_one_and_of_perfection_zero() -> None:
    target = torch.randn(3, 100)
    assert esr(torch.zeros(3, 100), target).item() == pytest.approx(1.0)
    assert esr(target, target).item() == 0.0


def test_esr_leaves_silent_windows_out() -> None:
    prediction, target = _pair()
    quiet_target = torch.cat([target, torch.zeros(2, 4)])
    loud_prediction = torch.cat([prediction, torch.full((2, 4), 100.0)]).requires_grad_()
    loss = esr(loud_prediction, quiet_target)
    assert loss.item() == pytest.approx(esr(prediction, target).item())
    loss.backward()
    alone = prediction.clone().requires_grad_()
    esr(alone, target).backward()
    assert loud_prediction.grad is not None
    torch.testing.assert_close(loud_prediction.grad[:2], alone.grad)
    assert torch.equal(loud_prediction.grad[2:], torch.zeros(2, 4))


def test_esr_of_silent_windows_only_is_zero_with_a_gradient_of_zero() -> None:
    prediction = torch.randn(2, 4, requires_grad=True)
    loss = esr(prediction, torch.zeros(2, 4))
    loss.backward()
    assert loss.item() == 0.0
    assert torch.equal(prediction.grad, torch.zeros(2, 4))


def test_dc_is_the_mean_square_of_the_differences_of_means() -> None:
    # means 2.5 and 1: 1.5; 0 and 0.5: -0.5
    assert dc(*_pair()).item() == pytest.approx((1.5**2 + 0.5**2) / 2)


def test_pre_emphasis() -> None:
    x = torch.tensor([[1.0, 3.0, 2.0], [0.0, -1.0, 5.0]])
    expected = torch.tensor([[3 - 0.85, 2 - 0.85 * 3], [-1.0, 5 + 0.85]])
    torch.testing.assert_close(pre_emphasis(x, 0.85), expected)
    assert torch.equal(pre_emphasis(x, 0.0), x[:, 1:])


@pytest.mark.parametrize("loss", [mse, esr, dc, check_shapes])
@pytest.mark.parametrize(
    ("p", "t"), [((4, 8), (4, 9)), ((4, 8), (1, 8)), ((8,), (8,)), ((4, 1, 8), (4, 1, 8))]
)
def test_other_shapes_are_refused(
    loss: Callable[[Tensor, Tensor], object], p: tuple[int, ...], t: tuple[int, ...]
) -> None:
    message = f"a loss needs prediction and target of one shape (B, L), got {p} and {t}; was the target cut"
    with pytest.raises(ValueError, match=re.escape(message)):
        loss(torch.zeros(p), torch.zeros(t))

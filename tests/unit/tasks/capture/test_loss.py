"""The training loss: weighted terms of each submodel, summed, and nothing that couples them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from namexp.losses import waveform
from namexp.losses.spectral import Mrstft
from namexp.tasks.capture import loss as capture
from namexp.tasks.capture.config.loss import LossConfig
from namexp.tasks.capture.loss import CaptureLoss

WEIGHTS = {
    "mse_weight": 1.5, "esr_weight": 0.25, "dc_weight": 3.0, "mrstft_weight": 0.01,
    "pre_emphasis_mse_weight": 0.5, "pre_emphasis_mrstft_weight": 0.02,
}  # fmt: skip
NAMES = ("MSE", "ESR", "DC", "MRSTFT", "pre-emphasised MSE", "pre-emphasised MRSTFT")


def _config(**settings: Any) -> LossConfig:
    values: dict[str, Any] = dict.fromkeys(WEIGHTS, 0.0)
    values |= {
        "pre_emphasis_mse_coefficient": 0.85, "pre_emphasis_mrstft_coefficient": 0.7, "val_loss": "mse",
    }  # fmt: skip
    return LossConfig(**{**values, **settings})


def _signals(num_submodels: int = 3, n: int = 1100) -> tuple[Tensor, Tensor]:
    target = 0.1 * torch.randn(2, n)
    return target[:, None] + 0.05 * torch.randn(2, num_submodels, n), target


def _terms(prediction: Tensor, target: Tensor) -> list[Tensor]:
    """Every term of one submodel, written out anew."""

    def emphasised(x: Tensor, c: float) -> Tensor:
        return x[:, 1:] - c * x[:, :-1]

    mrstft = Mrstft()
    return [
        ((prediction - target) ** 2).mean(),
        (((prediction - target) ** 2).sum(1) / (target**2).sum(1)).mean(),
        ((prediction.mean(1) - target.mean(1)) ** 2).mean(),
        mrstft(prediction, target),
        ((emphasised(prediction, 0.85) - emphasised(target, 0.85)) ** 2).mean(),
        mrstft(emphasised(prediction, 0.7), emphasised(target, 0.7)),
    ]


def test_the_sum_over_submodels_of_weight_times_term() -> None:
    prediction, target = _signals()
    loss = CaptureLoss(_config(**WEIGHTS))
    assert loss.names == NAMES
    expected = torch.stack([torch.stack(_terms(row, target)) for row in prediction.unbind(1)])
    values = loss.values(prediction, target)
    assert values.shape == (3, 6)
    torch.testing.assert_close(values, expected)
    rows = expected @ torch.tensor(list(WEIGHTS.values()))
    torch.testing.assert_close(loss.weigh(values), rows)
    torch.testing.assert_close(loss(prediction, target), rows.sum())


@pytest.mark.parametrize(("key", "column"), [(key, i) for i, key in enumerate(WEIGHTS)])
def test_every_weight_weighs_its_own_term(key: str, column: int) -> None:
    prediction, target = _signals(1)
    loss = CaptureLoss(_config(**{key: 2.0}))
    assert loss.names == (NAMES[column],)
    torch.testing.assert_close(loss(prediction, target), 2.0 * _terms(prediction[:, 0], target)[column])


def test_with_and_without_kernels_it_is_the_same_up_to_rounding(monkeypatch: Any) -> None:
    prediction, target = _signals()
    loss = CaptureLoss(_config(**WEIGHTS))
    values, gradient = loss.values(prediction, target), _gradient(prediction, target)
    monkeypatch.setenv("NAMEXP_KERNELS", "off")
    torch.testing.assert_close(loss.values(prediction, target), values, rtol=2e-6, atol=0)
    plain = _gradient(prediction, target)
    assert (gradient - plain).norm() < 1e-3 * plain.norm()


def test_a_term_of_weight_zero_is_not_computed(monkeypatch: Any) -> None:
    def forbidden(*_: Any) -> Tensor:
        raise AssertionError("computed")

    for name in ("forward", "of_submodels", "_sums"):
        monkeypatch.setattr(Mrstft, name, forbidden)
    for name in ("esr", "dc"):
        monkeypatch.setattr(waveform, name, forbidden)
    monkeypatch.setattr(capture, "pre_emphasis", forbidden)
    prediction, target = _signals(2, 100)  # also too short for an MRSTFT
    loss = CaptureLoss(_config(mse_weight=1.0))
    assert loss.names == ("MSE",)
    expected = sum(((row - target) ** 2).mean() for row in prediction.unbind(1))
    torch.testing.assert_close(loss(prediction, target), expected)


def _gradient(prediction: Tensor, target: Tensor) -> Tensor:
    leaf = prediction.clone().requires_grad_()
    CaptureLoss(_config(**WEIGHTS))(leaf, target).backward()
    assert leaf.grad is not None
    return leaf.grad


def test_no_submodel_touches_the_gradient_of_another() -> None:
    prediction, target = _signals()
    plain = _gradient(prediction, target)
    disturbed = prediction.clone()
    disturbed[:, 1] = 1000.0 * torch.randn(2, 1100)
    gradient = _gradient(disturbed, target)
    assert torch.equal(gradient[:, [0, 2]], plain[:, [0, 2]])
    assert not torch.equal(gradient[:, 1], plain[:, 1])
    alone = _gradient(prediction[:, 2:], target)
    torch.testing.assert_close(plain[:, 2:], alone, rtol=1e-6, atol=0.0)


def test_a_submodel_that_has_blown_up_does_not_spoil_the_others() -> None:
    prediction, target = _signals()
    plain = _gradient(prediction, target)
    prediction[:, 1] = torch.nan
    loss = CaptureLoss(_config(**WEIGHTS))
    losses = loss.weigh(loss.values(prediction, target))
    assert torch.isfinite(losses).tolist() == [True, False, True]
    assert torch.equal(_gradient(prediction, target)[:, [0, 2]], plain[:, [0, 2]])


def test_silent_windows_are_left_out_of_the_esr() -> None:
    prediction, target = _signals()
    target[1] = 0.0
    config = _config(esr_weight=1.0)
    expected = sum(((row[0] - target[0]) ** 2).sum() / (target[0] ** 2).sum() for row in prediction.unbind(1))
    leaf = prediction.requires_grad_()
    loss = CaptureLoss(config)(leaf, target)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert leaf.grad is not None
    assert torch.isfinite(leaf.grad).all()
    assert torch.equal(leaf.grad[1], torch.zeros(3, 1100))
    assert leaf.grad[0].abs().min(dim=-1).values.shape == (3,)
    assert (leaf.grad[0].abs().sum(dim=-1) > 0).all()


def test_the_terms_keep_the_precision_of_the_prediction() -> None:
    prediction, target = _signals()
    loss = CaptureLoss(_config(mse_weight=1.0, esr_weight=0.1))
    assert loss(prediction.double(), target.double()).dtype == torch.float64

"""Figures of whole recordings."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Tensor

from namexp.losses.spectral import Mrstft
from namexp.tasks.capture.metrics import recording_metrics

NAMES = ("ESR", "MSE", "MRSTFT")


def _recordings() -> list[tuple[Tensor, Tensor]]:
    """Two of different length and level, with two submodels' predictions."""
    pairs = []
    for n, level in ((4000, 0.5), (1500, 0.01)):
        target = level * torch.randn(n)
        pairs.append((target + 0.02 * torch.randn(2, n) * torch.tensor([[1.0], [3.0]]), target))
    return pairs


def test_energies_are_summed_before_the_ratio() -> None:
    pairs = _recordings()
    metrics = recording_metrics(pairs)
    assert tuple(metrics) == NAMES
    energy = sum(target.double().square().sum() for _, target in pairs)
    for row in range(2):
        errors = [(p[row].double() - t.double()).square() for p, t in pairs]
        error = torch.stack([e.sum() for e in errors]).sum()
        assert metrics["ESR"][row].item() == pytest.approx((error / energy).item(), rel=1e-12)
        assert metrics["MSE"][row].item() == pytest.approx((error / 5500).item(), rel=1e-12)
        ratios = [e.sum() / t.double().square().sum() for e, (_, t) in zip(errors, pairs, strict=True)]
        assert sum(ratios) / 2 > 2 * metrics["ESR"][row]  # the mean of ratios is something else


def test_values_by_hand() -> None:
    prediction = torch.tensor([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]])
    target = torch.tensor([1.0, 2.0, 4.0])
    metrics = recording_metrics([(prediction, target)])
    assert metrics["ESR"].tolist() == pytest.approx([4 / 21, 1.0])
    assert metrics["MSE"].tolist() == pytest.approx([4 / 3, 7.0])
    assert metrics["MRSTFT"].isnan().all()  # three samples are too few for it


def test_mrstft_is_of_the_whole_recording() -> None:
    prediction, target = _recordings()[0]
    metrics = recording_metrics([(prediction, target)])
    whole = Mrstft()
    for row in range(2):
        expected = whole(prediction[row : row + 1], target[None]).item()
        assert metrics["MRSTFT"][row].item() == expected
        halves = [whole(prediction[row : row + 1, part], target[None, part]).item() for part in
                  (slice(None, 2000), slice(2000, None))]  # fmt: skip
        assert abs(sum(halves) / 2 - expected) > 1e-3 * expected


def test_mrstft_of_several_recordings_is_weighed_by_their_lengths() -> None:
    pairs = _recordings()
    alone = [recording_metrics([pair])["MRSTFT"] for pair in pairs]
    together = recording_metrics(pairs)["MRSTFT"]
    torch.testing.assert_close(together, (4000 * alone[0] + 1500 * alone[1]) / 5500)


def test_a_nan_stays_in_its_row() -> None:
    pairs = _recordings()
    plain = recording_metrics(pairs)
    pairs[1][0][1, 700] = math.nan
    metrics = recording_metrics(pairs)
    for name in NAMES:
        assert metrics[name][0] == plain[name][0]
        assert math.isfinite(metrics[name][0])
        assert math.isnan(metrics[name][1])


def test_an_infinite_prediction_is_not_a_finite_score() -> None:
    (prediction, target), _ = _recordings()
    prediction[1, 3] = math.inf
    metrics = recording_metrics([(prediction, target)])
    for name in NAMES:
        assert math.isfinite(metrics[name][0])
        assert not math.isfinite(metrics[name][1])


def test_values_are_float64() -> None:
    for values in recording_metrics(_recordings()).values():
        assert values.dtype == torch.float64
        assert values.shape == (2,)


def test_a_silent_recording_among_others_counts_by_its_error() -> None:
    (prediction, target), _ = _recordings()
    noise = torch.full((2, 1100), 0.1)
    metrics = recording_metrics([(prediction, target), (noise, torch.zeros(1100))])
    error = (prediction.double() - target.double()).square().sum(-1) + 1100 * float(torch.tensor(0.1)) ** 2
    torch.testing.assert_close(metrics["ESR"], error / target.double().square().sum())


@pytest.mark.parametrize("pairs", [[], [(torch.ones(2, 1100), torch.zeros(1100))]])
def test_nothing_but_silence_is_refused(pairs: list[tuple[Tensor, Tensor]]) -> None:
    with pytest.raises(
        ValueError, match=re.escape("ESR is undefined: the targets are silent or there are none.")
    ):
        recording_metrics(pairs)

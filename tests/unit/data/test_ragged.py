from __future__ import annotations

import math

import pytest
import torch

from namexp.data.ragged import mask_length, masked_l1, padded


def test_padding_to_the_longest() -> None:
    stacked, lengths = padded([torch.ones(2, 3), 2 * torch.ones(2, 1), 3 * torch.ones(2, 4)], value=-1.0)
    assert lengths.dtype == torch.int64
    assert lengths.tolist() == [3, 1, 4]
    assert stacked[:, 0].tolist() == [[1, 1, 1, -1], [2, -1, -1, -1], [3, 3, 3, 3]]
    assert torch.equal(stacked[:, 0], stacked[:, 1])


@pytest.mark.parametrize("shape", [(3, 5), (3, 2, 5), (3, 2, 4, 5)])
def test_masking_any_number_of_dimensions(shape: tuple[int, ...]) -> None:
    x = torch.rand(shape) + 1.0
    masked = mask_length(x, torch.tensor([5, 2, 0]))
    assert torch.equal(masked[0], x[0])
    assert torch.equal(masked[1, ..., :2], x[1, ..., :2])
    assert masked[1, ..., 2:].abs().max() == 0
    assert masked[2].abs().max() == 0


def test_masking_hides_what_is_no_number() -> None:
    x = torch.tensor([[1.0, math.nan, math.inf]])
    assert mask_length(x, torch.tensor([1])).tolist() == [[1.0, 0.0, 0.0]]


def test_padding_does_not_change_the_distance() -> None:
    torch.manual_seed(3)
    pairs = [(torch.randn(80, n), torch.randn(80, n)) for n in (7, 19, 1)]
    prediction, lengths = padded([a for a, _ in pairs], value=7.0)
    target, _ = padded([b for _, b in pairs], value=math.nan)
    alone = torch.stack([(a - b).abs().mean() for a, b in pairs])
    torch.testing.assert_close(masked_l1(prediction, target, lengths), alone, rtol=1e-6, atol=0)


def test_padding_gives_no_gradient() -> None:
    prediction = torch.zeros(2, 3, 4, requires_grad=True)
    target = torch.full((2, 3, 4), math.inf)
    target[0, :, :2], target[1] = 1.0, 1.0
    masked_l1(prediction, target, torch.tensor([2, 4])).sum().backward()
    assert prediction.grad is not None
    expected = torch.zeros(2, 3, 4)
    expected[0, :, :2], expected[1] = -1 / 6, -1 / 12
    torch.testing.assert_close(prediction.grad, expected)


def test_lengths_that_cannot_be() -> None:
    x = torch.ones(2, 4)
    with pytest.raises(ValueError, match="between 0 and 4"):
        mask_length(x, torch.tensor([5, 1]))
    with pytest.raises(ValueError, match="a length for each row"):
        mask_length(x, torch.tensor([1]))
    with pytest.raises(ValueError, match="not empty"):
        masked_l1(x, x, torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="equal shapes"):
        masked_l1(x, x[:, :2], torch.tensor([1, 1]))

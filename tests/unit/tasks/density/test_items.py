"""Images moved, mirrored and dequantised: what they become follows from seed, turn and index."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from namexp.data.procedural_images import Pixels
from namexp.data.segments import Draw
from namexp.tasks.density.data.items import DrawnImages, WholeImages, dequantised, moved, quantised

RANDOM = np.random.default_rng(0)
IMAGES: Pixels = RANDOM.integers(1, 256, (4, 3, 32, 32), dtype=np.uint8)


def drawn(turn: int, index: int, *, seed: int = 1, shift: float = 0.1, flip: bool = True) -> torch.Tensor:
    return DrawnImages(IMAGES, shift=shift, flip=flip, seed=seed)[Draw(turn, index)]


def test_a_draw_is_a_pure_function() -> None:
    assert torch.equal(drawn(2, 3), drawn(2, 3))
    for other in (drawn(3, 3), drawn(2, 2), drawn(2, 3, seed=2)):
        assert not torch.equal(drawn(2, 3), other)


def test_quantised_a_drawn_image_is_the_one_that_was_moved_and_mirrored() -> None:
    seen = set()
    for turn in range(200):
        found = quantised(drawn(turn, 1)[None])[0]
        fits = [
            (down, across, flip)
            for flip in (False, True)
            for down in range(-3, 4)
            for across in range(-3, 4)
            if np.array_equal(found, moved(IMAGES[1], down, across)[..., :: -1 if flip else 1])
        ]
        assert len(fits) == 1
        seen.add(fits[0])
    assert {down for down, _, _ in seen} == {across for _, across, _ in seen} == set(range(-3, 4))
    assert {flip for _, _, flip in seen} == {False, True}


def test_nothing_is_varied_that_shall_not_be() -> None:
    for turn in range(5):
        assert np.array_equal(quantised(drawn(turn, 0, shift=0.0, flip=False)), IMAGES[0])
    whole = WholeImages(IMAGES, seed=1)
    assert np.array_equal(quantised(torch.stack([whole[i] for i in range(4)])), IMAGES)
    assert torch.equal(whole[2], WholeImages(IMAGES, seed=1)[2])
    assert not torch.equal(whole[2], WholeImages(IMAGES, seed=2)[2])


def test_what_is_uncovered_is_black() -> None:
    found = moved(IMAGES[0], 2, -3)
    np.testing.assert_array_equal(found[:, 2:, :-3], IMAGES[0][:, :-2, 3:])
    assert not found[:, :2].any()
    assert not found[:, :, -3:].any()


def test_a_level_of_grey_is_a_cell() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    values = dequantised(levels, np.random.default_rng(0))
    assert values.min() >= -0.5
    assert values.max() < 0.5
    place = (values + 0.5) * 256 - levels
    assert place.min() >= 0
    assert place.max() < 1
    assert place.mean() == pytest.approx(0.5, abs=0.06)
    assert np.array_equal(quantised(torch.from_numpy(values)), levels)


def test_what_lies_beyond_white_is_white() -> None:
    values = torch.tensor([-3.0, -0.5, 0.4999, 0.5, 7.0, float("nan")])
    assert quantised(values).tolist() == [0, 0, 255, 255, 255, 0]

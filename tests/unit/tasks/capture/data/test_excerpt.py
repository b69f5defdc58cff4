"""The stretch that is listened to."""

from __future__ import annotations

import numpy as np

from namexp.tasks.capture.data.excerpt import choose_excerpt
from namexp.tasks.capture.data.recordings import Part, Recordings

RATE, R = 100, 11


def _recordings(target: np.ndarray, scale: float = 1.0) -> Recordings:
    x = np.arange(target.size, dtype=np.float32)
    part = Part(x, target.astype(np.float32))
    other = Part(x, np.ones_like(x))
    return Recordings((), (part, other), RATE, scale, {}, False)


def test_it_is_of_median_loudness_and_keeps_its_context() -> None:
    # after the context: seconds of silence, soft, loud, middling, silence
    levels = [0.0, 0.1, 1.0, 0.5, 0.0]
    target = np.concatenate([np.full(R - 1, 9.0), np.repeat(levels, RATE)])
    excerpt = choose_excerpt(_recordings(target, 0.5), receptive_field=R, seconds=1.0)
    energy = float((excerpt.target**2).sum())
    sounding = [
        e
        for start in range(0, 4 * RATE + 1, RATE // 10)
        if (e := float((target[R - 1 :][start : start + RATE] ** 2).sum())) >= 0.1 * _mean_energy(target)
    ]
    assert energy == np.float32(sorted(sounding)[(len(sounding) - 1) // 2])
    assert min(sounding) < energy < max(sounding)
    # the input of scored sample n is sample n + R - 1 of the part
    first = excerpt.start + R - 1
    np.testing.assert_array_equal(excerpt.input, np.arange(first, first + RATE))
    np.testing.assert_array_equal(excerpt.context, np.arange(excerpt.start, first + RATE))
    np.testing.assert_array_equal(excerpt.target, target[first : first + RATE].astype(np.float32))
    assert (excerpt.stretch, excerpt.target_scale) == (slice(excerpt.start, excerpt.start + RATE), 0.5)


def _mean_energy(target: np.ndarray) -> float:
    starts = range(0, 4 * RATE + 1, RATE // 10)
    return float(np.mean([(target[R - 1 :][s : s + RATE] ** 2).sum() for s in starts]))


def test_a_short_validation_part_is_taken_whole() -> None:
    target = np.ones(R - 1 + 30)
    excerpt = choose_excerpt(_recordings(target), receptive_field=R, seconds=5.0)
    assert (excerpt.start, excerpt.target.size, excerpt.context.size) == (0, 30, 30 + R - 1)


def test_it_is_the_same_every_time() -> None:
    target = np.random.default_rng(0).standard_normal(1000)
    first, second = (
        choose_excerpt(_recordings(target), receptive_field=R, seconds=2.0).start for _ in range(2)
    )
    assert first == second

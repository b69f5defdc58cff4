"""Levels of a spectrogram by signals whose spectrum is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from namexp.audio.spectrogram import HOP_LENGTH, N_FFT, draw_spectrograms, spectrogram_db

RATE = 48000


@pytest.mark.parametrize(("amplitude", "level"), [(1.0, 0.0), (0.1, -20.0)])
def test_a_sine_on_a_bin_has_its_own_level(amplitude: float, level: float) -> None:
    k = 100
    sine = amplitude * np.sin(2 * np.pi * k * np.arange(8 * N_FFT) / N_FFT)
    found = spectrogram_db(sine.astype(np.float32))
    assert found.shape == (N_FFT // 2 + 1, 7 * N_FFT // HOP_LENGTH + 1)
    np.testing.assert_allclose(found[k], level, atol=1e-3)
    assert (found.argmax(axis=0) == k).all()
    assert found[k + 3 :].max() < level - 60  # Hann: nothing beyond two bins


def test_a_signal_shorter_than_a_window_has_one_frame() -> None:
    assert spectrogram_db(np.ones(5, np.float32)).shape == (N_FFT // 2 + 1, 1)


def test_all_three_are_drawn_on_one_scale(tmp_path: Path) -> None:
    # a prediction equal to the target leaves a difference of nothing: its panel is all black
    target = np.random.default_rng(0).standard_normal(RATE).astype(np.float32) * 0.1
    for name, prediction in (("same", target), ("silent", np.zeros_like(target))):
        draw_spectrograms(
            tmp_path / f"{name}.png", target=target, prediction=prediction, sample_rate=RATE, title=name
        )
    same, silent = (imread(tmp_path / f"{name}.png")[..., :3].mean(axis=-1) for name in ("same", "silent"))
    height, width = same.shape
    rows = [slice(int(height * f) + 40, int(height * f) + 140) for f in (0.04, 0.36, 0.67)]
    column = slice(width // 4, width // 2)
    levels = [[float(picture[row, column].mean()) for row in rows] for picture in (same, silent)]
    assert levels[0][0] == pytest.approx(levels[0][1], abs=0.01)
    assert levels[0][2] < 0.02
    assert levels[1][1] < 0.02
    assert levels[1][0] == pytest.approx(levels[1][2], abs=0.01)

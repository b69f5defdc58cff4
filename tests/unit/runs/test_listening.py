"""The listening material: aligned, at most 12 s, never clipped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from namexp.audio.wav import read_wav
from namexp.runs.layout import RunLayout
from namexp.runs.listening import SECONDS, write_listening

RATE = 100


def signals(length: int, gain: float) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(length)
    target = (gain * np.sin(t)).astype(np.float32)
    return target, np.stack([0.5 * target, 0.9 * target + np.float32(0.01)])


def test_it_is_what_was_played_to_24_bits(tmp_path: Path) -> None:
    target, predictions = signals(900, 0.7)
    run = RunLayout(tmp_path)
    write_listening(run, target=target, predictions=predictions, sample_rate=RATE)
    files = [run.audio_target, run.audio_prediction(0), run.audio_prediction(1)]
    for path, expected in zip(files, (target, *predictions), strict=True):
        info = soundfile.info(path)
        assert (info.format, info.subtype, info.samplerate) == ("FLAC", "PCM_24", RATE)
        assert abs(read_wav(path).samples - expected).max() <= 2**-23
    assert sorted(p.name for p in (tmp_path / "audio").iterdir()) == [
        "prediction_0.flac", "prediction_1.flac", "target.flac"
    ]  # fmt: skip


def test_long_material_is_cut(tmp_path: Path) -> None:
    target, predictions = signals(5000, 0.7)
    write_listening(RunLayout(tmp_path), target=target, predictions=predictions, sample_rate=RATE)
    kept = read_wav(RunLayout(tmp_path).audio_target).samples
    assert kept.size == SECONDS * RATE
    assert abs(kept - target[: kept.size]).max() <= 2**-23


def test_what_would_clip_is_turned_down_together(tmp_path: Path) -> None:
    target, predictions = signals(900, 0.8)
    predictions[1] *= 5.0
    run = RunLayout(tmp_path)
    write_listening(run, target=target, predictions=predictions, sample_rate=RATE)
    peak = float(abs(predictions[1]).max())
    assert abs(read_wav(run.audio_prediction(1)).samples).max() > 0.999
    assert abs(read_wav(run.audio_target).samples - target / peak).max() <= 2**-22


def test_a_prediction_that_is_not_finite_leaves_nothing(tmp_path: Path) -> None:
    target, predictions = signals(900, 0.8)
    predictions[0, 17] = np.nan
    write_listening(RunLayout(tmp_path), target=target, predictions=predictions, sample_rate=RATE)
    assert not (tmp_path / "audio").exists()

"""Lengths, silence and lossy files are treated in evaluate as they are in training."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from namexp.audio.wav import write_wav
from namexp.errors import UserError
from namexp.tasks.capture.evaluating import evaluate_files
from namexp.tasks.capture.rendering import render_file

RATE = 1000
N = 5000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that plays x[t] + x[t-1] / 2, a recording, and what the model makes of it."""
    (tmp_path / "m.nam").write_text(
        '{"version":"0.7.0","architecture":"Linear","config":{"receptive_field":2,"bias":false},'
        f'"weights":[1.0,0.5],"sample_rate":{RATE}}}'
    )
    for name, samples in zip(("x.wav", "y.wav"), _pair(N), strict=True):
        write_wav(tmp_path / name, samples, RATE)
    return tmp_path


def _pair(size: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * N).astype(np.float32)[:size]
    return x, x + 0.5 * np.concatenate([[0], x[:-1]]).astype(np.float32)


def _esr(folder: Path, target: str = "y.wav", **settings: Any) -> float:
    (entry,) = evaluate_files(folder / "m.nam", folder / "x.wav", folder / target, **settings)
    return float(entry["ESR"])


def _refused(
    folder: Path, message: str, input: str = "x.wav", target: str = "y.wav", **settings: int
) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        evaluate_files(folder / "m.nam", folder / input, folder / target, **settings)
    assert "\n" not in str(caught.value)


def _told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is logged of recordings; whoever is first on a machine hears of compiled kernels too."""
    return [record.message for record in caplog.records if not record.name.startswith("namexp.kernels.")]


@pytest.mark.parametrize("size", [N - 1000, N - 1, N + 1, N + 1000])
def test_up_to_a_second_is_cut_with_a_word(folder: Path, caplog: pytest.LogCaptureFixture, size: int) -> None:
    write_wav(folder / "y.wav", _pair(size)[1], RATE)
    with caplog.at_level(logging.INFO):
        assert _esr(folder) < 1e-12
    assert _told(caplog) == [
        f"lengths differ by {abs(size - N) / RATE:.3f} s; both are cut to the shorter one"
    ]


@pytest.mark.parametrize("size", [N // 2, N - 1001, N + 1001, 2 * N])
def test_more_than_a_second_is_refused_unless_it_is_asked_for(folder: Path, size: int) -> None:
    write_wav(folder / "y.wav", _pair(size)[1], RATE)
    message = f"{folder / 'x.wav'} has {N} samples and {folder / 'y.wav'} has {size}, "
    _refused(folder, message)
    _refused(folder, "set --allow-unequal-lengths to use what they share")
    assert _esr(folder, allow_unequal_lengths=True) < 1e-12


@pytest.mark.parametrize("delay", [7, -7])
def test_a_delay_is_taken_out(folder: Path, delay: int) -> None:
    y = _pair(N)[1]
    nothing = np.zeros(abs(delay), np.float32)
    moved = np.concatenate([nothing, y[:-delay]] if delay > 0 else [y[-delay:], nothing])
    write_wav(folder / "moved.wav", moved, RATE)
    assert _esr(folder, "moved.wav", delay=delay) < 1e-12 or delay < 0
    if delay < 0:  # the first sample has no past: the model begins from silence
        assert _esr(folder, "moved.wav", delay=delay) < 1e-3
    assert _esr(folder, "moved.wav") > 0.5


@pytest.mark.parametrize("delay", [N, -N, 9 * N])
def test_a_delay_as_long_as_the_recording_is_refused(folder: Path, delay: int) -> None:
    _refused(folder, f"--delay (= {delay}) is as long as {folder / 'y.wav'} ({N} samples).", delay=delay)


@pytest.mark.parametrize("silent", ["x.wav", "y.wav"])
@pytest.mark.parametrize("value", [0.0, 2.0**-23])
def test_silence_on_either_side_is_refused_by_name(folder: Path, silent: str, value: float) -> None:
    write_wav(folder / silent, np.full(N, value, np.float32), RATE)
    _refused(folder, f"{folder / silent}: is silent: all {N} samples are ")


@pytest.mark.parametrize("silent", ["x.wav", "y.wav"])
def test_a_sound_in_the_context_alone_is_not_scored(folder: Path, silent: str) -> None:
    samples = np.zeros(N, np.float32)
    samples[0] = 0.5  # the only sample of context
    write_wav(folder / silent, samples, RATE)
    _refused(folder, f"{folder / silent}: what is scored of it is silent: all {N - 1} samples are 0")


def test_a_lossy_target_is_refused_and_a_lossy_input_told_about(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("x", "y"):
        samples, _ = soundfile.read(folder / f"{name}.wav")
        soundfile.write(folder / f"{name}a.wav", samples, RATE, subtype="ALAW")
    _refused(folder, "ya.wav: is lossy (ALAW)", target="ya.wav")
    assert _told(caplog) == []
    evaluate_files(folder / "m.nam", folder / "xa.wav", folder / "y.wav")
    render_file(folder / "m.nam", folder / "xa.wav", folder / "out.wav")
    assert [": is lossy (ALAW)" in message for message in _told(caplog)] == [True, True]


@pytest.mark.parametrize(
    "name", ["out.flac", "out.mp3", "OUT.AIFF", "out.w64", "out.ogg", "out.m4a", "x.nam"]
)
def test_the_name_of_another_format_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(UserError, match=re.escape(f"{folder / name}: what is written is a WAV, not ")):
        render_file(folder / "m.nam", folder / "x.wav", folder / name)
    assert not (folder / name).exists()


@pytest.mark.parametrize("name", ["out.wav", "OUT.WAV", "out", "take 1.2", "out (v1.2)", "ünï 日本 = #.wav"])
def test_a_name_of_no_other_format_is_obeyed(folder: Path, name: str) -> None:
    render_file(folder / "m.nam", folder / "x.wav", folder / name)
    assert soundfile.info(str(folder / name)).format == "WAV"

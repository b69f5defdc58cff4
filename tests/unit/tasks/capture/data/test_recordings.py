"""From files to training and validation parts: by value, and every refusal by its message."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from namexp.audio import synth
from namexp.audio.synth import EmbeddedRecording
from namexp.audio.wav import Recording, sha256_of, write_wav
from namexp.errors import UserError
from namexp.tasks.capture.config.data import DataConfig
from namexp.tasks.capture.data.recordings import Recordings, load_recordings

RATE = 100  # Hz: seconds and samples are easy to tell apart
R = 3

Load = Callable[..., Recordings]


def _config(**settings: Any) -> DataConfig:
    values: dict[str, Any] = {
        "input": None, "target": None, "pairs": None, "delay": 0, "start_seconds": None,
        "stop_seconds": None, "start_samples": None, "stop_samples": None, "validation_seconds": 1.0,
        "sample_rate": None, "ny": 4, "batch_size": 2, "input_gain_db": 0.0, "target_scale": 1.0,
        "level_rms_dbfs": None, "allow_unequal_lengths": False,
    }  # fmt: skip
    return DataConfig(**{**values, **settings})


def _input(n: int) -> np.ndarray:
    return (np.arange(n, dtype=np.float32) + 1) / 4096  # sample i holds (i + 1) / 4096, exactly


def _target(n: int) -> np.ndarray:
    return -_input(n) * 2


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Write one pair (``x``, ``y``; by default 500 samples each) and load it."""

    def load_pair(
        x: np.ndarray | None = None,
        y: np.ndarray | None = None,
        *,
        rates: tuple[int, int] = (RATE, RATE),
        receptive_field: int = R,
        **settings: Any,
    ) -> Recordings:
        write_wav(tmp_path / "x.wav", _input(500) if x is None else x, rates[0])
        write_wav(tmp_path / "y.wav", _target(500) if y is None else y, rates[1])
        files = {"input": str(tmp_path / "x.wav"), "target": str(tmp_path / "y.wav")}
        return load_recordings(_config(**files, **settings), receptive_field=receptive_field)

    return load_pair


def _joined(recordings: Recordings) -> tuple[np.ndarray, np.ndarray]:
    """(input, target) of the only pair, training and validation behind one another."""
    parts = [*recordings.train, *recordings.validation]
    return np.concatenate([p.input for p in parts]), np.concatenate([p.target for p in parts])


# --- alignment and cuts ---------------------------------------------------------------------------


def test_the_end_validates(load: Load) -> None:
    recordings = load(validation_seconds=1.5)
    (train,), (validation,) = recordings.train, recordings.validation
    np.testing.assert_array_equal(train.input, _input(500)[:350])
    np.testing.assert_array_equal(train.target, _target(500)[:350])
    np.testing.assert_array_equal(validation.input, _input(500)[350:])
    np.testing.assert_array_equal(validation.target, _target(500)[350:])
    assert recordings.sample_rate == RATE
    assert recordings.target_scale == 1.0
    assert recordings.embedded is False


@pytest.mark.parametrize("delay", [1, 7])
def test_a_target_that_lags_is_moved_forward(load: Load, delay: int) -> None:
    late = np.concatenate([np.full(delay, 0.9, np.float32), _target(500)[:-delay]])
    x, y = _joined(load(y=late, delay=delay))
    assert x.size == y.size == 500 - delay
    np.testing.assert_array_equal(x, _input(500)[:-delay])
    np.testing.assert_array_equal(y, -2 * x)  # each sample beside the one it came from


@pytest.mark.parametrize("delay", [1, 7])
def test_a_target_that_leads_is_moved_back(load: Load, delay: int) -> None:
    early = np.concatenate([_target(500)[delay:], np.full(delay, 0.9, np.float32)])
    x, y = _joined(load(y=early, delay=-delay))
    np.testing.assert_array_equal(x, _input(500)[delay:])
    np.testing.assert_array_equal(y, -2 * x)


@pytest.mark.parametrize(
    ("settings", "start", "stop"),
    [
        ({"start_seconds": 0.5}, 50, 500),
        ({"stop_seconds": 4.0}, 0, 400),
        ({"start_samples": 33, "stop_samples": 411}, 33, 411),
        ({"start_seconds": 0.333, "stop_samples": -20}, 33, 480),
        ({"start_samples": -300, "stop_seconds": -0.25}, 200, 475),
        ({"start_seconds": -5.0, "stop_seconds": 5.0}, 0, 500),
        ({"start_samples": 0}, 0, 500),
    ],
)
def test_start_and_stop(load: Load, settings: dict[str, Any], start: int, stop: int) -> None:
    x, y = _joined(load(**settings))
    np.testing.assert_array_equal(x, _input(500)[start:stop])
    np.testing.assert_array_equal(y, _target(500)[start:stop])


def test_start_and_stop_are_places_in_the_input_whatever_the_delay(load: Load) -> None:
    late = np.concatenate([np.full(5, 0.9, np.float32), _target(500)[:-5]])
    x, y = _joined(load(y=late, delay=5, start_samples=10, stop_samples=400))
    np.testing.assert_array_equal(x, _input(500)[10:400])
    np.testing.assert_array_equal(y, -2 * x)


@pytest.mark.parametrize(("longer", "seconds"), [("x", 0.99), ("y", 0.99), ("x", 1.0), ("y", 1.0)])
def test_lengths_less_than_a_second_apart_are_cut(load: Load, longer: str, seconds: float) -> None:
    n = 500 + round(seconds * RATE)
    x, y = _joined(load(x=_input(n) if longer == "x" else None, y=_target(n) if longer == "y" else None))
    np.testing.assert_array_equal(x, _input(500))
    np.testing.assert_array_equal(y, _target(500))


def test_lengths_further_apart_are_cut_when_that_is_asked_for(load: Load) -> None:
    x, y = _joined(load(y=_target(900), allow_unequal_lengths=True))
    np.testing.assert_array_equal(x, _input(500))
    np.testing.assert_array_equal(y, _target(500))


# --- several pairs --------------------------------------------------------------------------------


def test_every_pair_has_a_delay_a_range_and_a_use_of_its_own(tmp_path: Path) -> None:
    pairs = []
    for i, settings in enumerate(
        [
            {"use": "train", "delay": 2, "start_samples": 10},
            {"use": "validation", "stop_samples": 90},
            {"validation_seconds": 0.5},  # the rest as the group says
        ]
    ):
        n = 200 + 10 * i
        write_wav(tmp_path / f"x{i}.wav", _input(n) + i, RATE)
        write_wav(tmp_path / f"y{i}.wav", _target(n) - i, RATE)
        files = {"input": str(tmp_path / f"x{i}.wav"), "target": str(tmp_path / f"y{i}.wav")}
        pairs.append({**files, **settings})
    recordings = load_recordings(_config(pairs=pairs, delay=-1), receptive_field=R)

    expected_train = [
        (_input(200)[10:198], _target(200)[12:]),
        (_input(220)[1:170] + 2, _target(220)[:169] - 2),
    ]
    expected_validation = [
        (_input(210)[1:91] + 1, _target(210)[:90] - 1),
        (_input(220)[170:] + 2, _target(220)[169:219] - 2),
    ]
    for parts, expected in ((recordings.train, expected_train), (recordings.validation, expected_validation)):
        assert len(parts) == len(expected)
        for part, (x, y) in zip(parts, expected, strict=True):
            np.testing.assert_array_equal(part.input, x)
            np.testing.assert_array_equal(part.target, y)
    assert recordings.sha256["input"] == [sha256_of(_input(200 + 10 * i) + i, RATE) for i in range(3)]
    assert recordings.sha256["target"] == [sha256_of(_target(200 + 10 * i) - i, RATE) for i in range(3)]


def test_without_files_the_embedded_recording_is_used(monkeypatch: Any) -> None:
    tiny = EmbeddedRecording(Recording(_input(300), RATE), Recording(_target(300), RATE))
    monkeypatch.setattr(synth, "embedded_recording", lambda: tiny)
    recordings = load_recordings(_config(), receptive_field=R)
    assert recordings.embedded is True
    assert recordings.sample_rate == RATE
    np.testing.assert_array_equal(recordings.train[0].input, _input(300)[:200])
    assert recordings.sha256["target"] == [sha256_of(_target(300), RATE)]


# --- levels ---------------------------------------------------------------------------------------


def _rms(arrays: list[np.ndarray]) -> float:
    return math.sqrt(np.mean(np.concatenate(arrays).astype(np.float64) ** 2))


def test_all_training_targets_together_reach_the_level(tmp_path: Path) -> None:
    pairs, targets = [], []
    for i, (n, level) in enumerate([(300, 0.5), (700, 0.05)]):
        targets.append((level * np.random.RandomState(i).standard_normal(n)).astype(np.float32))
        write_wav(tmp_path / f"x{i}.wav", _input(n), RATE)
        write_wav(tmp_path / f"y{i}.wav", targets[i], RATE)
        pairs.append({"input": str(tmp_path / f"x{i}.wav"), "target": str(tmp_path / f"y{i}.wav")})
    recordings = load_recordings(_config(pairs=pairs, level_rms_dbfs=-18.0), receptive_field=R)

    trained = [targets[0][:200], targets[1][:600]]
    scale = 10 ** (-18 / 20) / _rms(trained)
    assert recordings.target_scale == pytest.approx(scale, rel=1e-12)
    assert 20 * math.log10(_rms([p.target for p in recordings.train])) == pytest.approx(-18.0, abs=1e-5)
    for i, border in enumerate((200, 600)):
        np.testing.assert_allclose(recordings.train[i].target, targets[i][:border] * scale, rtol=1e-6)
        np.testing.assert_allclose(recordings.validation[i].target, targets[i][border:] * scale, rtol=1e-6)
        np.testing.assert_array_equal(recordings.train[i].input, _input(border))


def test_a_pair_that_only_validates_does_not_set_the_level(tmp_path: Path) -> None:
    pairs = []
    for i, use in enumerate(("train", "validation")):
        write_wav(tmp_path / f"x{i}.wav", _input(300), RATE)
        write_wav(tmp_path / f"y{i}.wav", np.full(300, 0.25 * (i + 1), np.float32), RATE)
        pairs.append(
            {"input": str(tmp_path / f"x{i}.wav"), "target": str(tmp_path / f"y{i}.wav"), "use": use}
        )
    recordings = load_recordings(_config(pairs=pairs, level_rms_dbfs=0.0), receptive_field=R)
    assert recordings.target_scale == pytest.approx(4.0)
    np.testing.assert_allclose(recordings.validation[0].target, 2.0)


def test_the_input_gain_scales_inputs_only(load: Load) -> None:
    recordings = load(input_gain_db=-20.0)
    x, y = _joined(recordings)
    np.testing.assert_allclose(x, _input(500) / 10, rtol=1e-6)
    np.testing.assert_array_equal(y, _target(500))
    assert recordings.target_scale == 1.0


def test_the_target_scale_is_for_good(load: Load) -> None:
    recordings = load(target_scale=-0.5)
    x, y = _joined(recordings)
    np.testing.assert_array_equal(x, _input(500))
    np.testing.assert_array_equal(y, -0.5 * _target(500))
    assert recordings.target_scale == 1.0  # the export must not undo it


def test_what_the_export_undoes_is_only_the_way_to_the_level(load: Load) -> None:
    # target_scale=2 plays twice as loud after export, normalised or not
    plain = load(level_rms_dbfs=-12.0)
    doubled = load(level_rms_dbfs=-12.0, target_scale=2.0)
    assert doubled.target_scale == pytest.approx(plain.target_scale / 2, rel=1e-6)
    np.testing.assert_allclose(doubled.train[0].target, plain.train[0].target, rtol=1e-6)


# --- refusals -------------------------------------------------------------------------------------


def _refused(load: Load, message: str, *args: Any, **settings: Any) -> None:
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        load(*args, **settings)
    assert "\n" not in str(caught.value)


def test_different_rates_are_refused(load: Load, tmp_path: Path) -> None:
    message = f"{tmp_path / 'y.wav'}: is recorded at 200 Hz and {tmp_path / 'x.wav'} says 100 Hz"
    _refused(load, message, rates=(100, 200))


def test_a_rate_other_than_the_expected_is_refused(load: Load, tmp_path: Path) -> None:
    message = f"{tmp_path / 'x.wav'}: is recorded at 100 Hz and data.sample_rate says 48000 Hz"
    _refused(load, message, sample_rate=48000)
    assert load(sample_rate=100).sample_rate == 100


def test_stereo_is_refused(load: Load, tmp_path: Path) -> None:
    load()
    soundfile.write(tmp_path / "stereo.wav", np.ones((500, 2)), RATE)
    config = _config(input=str(tmp_path / "x.wav"), target=str(tmp_path / "stereo.wav"))
    with pytest.raises(UserError, match=r"stereo\.wav: has 2 channels and must have 1"):
        load_recordings(config, receptive_field=R)


@pytest.mark.parametrize("longer", ["x", "y"])
def test_lengths_over_a_second_apart_are_refused(load: Load, tmp_path: Path, longer: str) -> None:
    sizes = {"x": 500, "y": 500, longer: 601}
    message = (
        f"{tmp_path / 'x.wav'} has {sizes['x']} samples and {tmp_path / 'y.wav'} has {sizes['y']}, "
        "1.01 s apart"
    )
    _refused(load, message, _input(sizes["x"]), _target(sizes["y"]))


@pytest.mark.parametrize("delay", [500, -500, 10000])
def test_a_delay_as_long_as_the_recording_is_refused(load: Load, tmp_path: Path, delay: int) -> None:
    message = f"data.delay (= {delay}) is as long as {tmp_path / 'y.wav'} (500 samples)."
    _refused(load, message, delay=delay)


@pytest.mark.parametrize(("side", "setting"), [("x", "data.input"), ("y", "data.target")])
def test_silence_is_refused_by_the_files_name(load: Load, tmp_path: Path, side: str, setting: str) -> None:
    message = f"{tmp_path / side}.wav: is silent: all 500 samples are 0; check the recording ({setting})."
    _refused(load, message, **{side: np.zeros(500, np.float32)})


@pytest.mark.parametrize(("side", "setting"), [("x", "data.input"), ("y", "data.target")])
@pytest.mark.parametrize("every", [1, 50, 499])
def test_the_last_bits_of_a_converter_are_silence(
    load: Load, tmp_path: Path, side: str, setting: str, every: int
) -> None:
    bits = np.zeros(500, np.float32)
    bits[::every] = 2.0**-23
    message = f"{tmp_path / side}.wav: is silent: all 500 samples are next to nothing (-"
    _refused(load, message, **{side: bits})
    bits[:400] = _target(400)  # the validation part alone
    message = f"{tmp_path / side}.wav: the validation part: is silent: all 98 samples are next to nothing"
    _refused(load, message, **{side: bits})


@pytest.mark.parametrize("side", ["x", "y"])
def test_silence_in_the_second_of_several_pairs_is_refused_by_name(tmp_path: Path, side: str) -> None:
    pairs = []
    for i in range(2):
        files = {"x": _input(500), "y": _target(500)}
        files[side][: 400 * i] = 0.0
        for name, samples in files.items():
            write_wav(tmp_path / f"{name}{i}.wav", samples, RATE)
        pairs.append({"input": str(tmp_path / f"x{i}.wav"), "target": str(tmp_path / f"y{i}.wav")})
    with pytest.raises(UserError, match=rf"{side}1\.wav: the training part is silent"):
        load_recordings(_config(pairs=pairs), receptive_field=R)


@pytest.mark.parametrize(("level", "told"), [(-80.0, True), (-61.0, True), (-59.0, False), (-20.0, False)])
def test_a_target_as_quiet_as_an_amp_that_nobody_plays_is_told_about(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture, level: float, told: bool
) -> None:
    y = np.full(500, 10 ** (level / 20), np.float32)
    y[::2] *= -1
    load(y=y, level_rms_dbfs=-18.0)
    expected = (
        f"{tmp_path / 'y.wav'}: the training part is very quiet, at {level:.0f} dBFS RMS: was the amp on"
    )
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [message.startswith(expected) for message in warnings] == [True] * told


@pytest.mark.parametrize(
    ("full", "subtype"),
    [(1.0, "FLOAT"), (-1.0, "PCM_24"), (1.0, "PCM_16"), (-1.0, "PCM_16"), (1.5, "FLOAT")],
)
def test_a_target_that_reaches_full_scale_is_told_with_the_number_and_the_place(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture, full: float, subtype: str
) -> None:
    load()
    assert caplog.messages == []
    y = _target(500)
    y[120:127] = full
    y[300] = full
    soundfile.write(tmp_path / "y.wav", y, RATE, subtype=subtype)
    files = {"input": str(tmp_path / "x.wav"), "target": str(tmp_path / "y.wav")}
    load_recordings(_config(**files), receptive_field=R)
    (message,) = caplog.messages
    assert message.startswith(f"{tmp_path / 'y.wav'}: clips: 8 samples reach full scale")
    assert "the first is sample 120 (1.20 s)" in message


def test_a_lossy_target_is_refused_and_a_lossy_input_told_about(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load()
    for name in ("x", "y"):
        samples, _ = soundfile.read(tmp_path / f"{name}.wav")
        soundfile.write(tmp_path / f"{name}u.wav", samples, RATE, subtype="ULAW")
    plain, lossy = ({name: str(tmp_path / f"{name}{u}.wav") for name in "xy"} for u in ("", "u"))
    with pytest.raises(UserError, match=r"yu\.wav: is lossy \(ULAW\)"):
        load_recordings(_config(input=plain["x"], target=lossy["y"]), receptive_field=R)
    load_recordings(_config(input=lossy["x"], target=plain["y"]), receptive_field=R)
    (message,) = caplog.messages
    assert message.startswith(f"{lossy['x']}: is lossy (ULAW)")


@pytest.mark.parametrize("level", [-18.0, None])
@pytest.mark.parametrize("side", ["x", "y"])
def test_a_silent_training_part_is_refused_by_the_files_name(
    load: Load, tmp_path: Path, level: float | None, side: str
) -> None:
    files = {"x": _input(500), "y": _target(500)}
    files[side][:400] = 0.0
    message = (
        f"{tmp_path / side}.wav: the training part is silent, so there is nothing to learn: all 400 samples "
        "are 0"
    )
    _refused(load, message, **files, level_rms_dbfs=level)


@pytest.mark.parametrize("sounding", [0, R - 1])
@pytest.mark.parametrize("side", ["x", "y"])
def test_a_validation_part_without_a_scored_sound_is_refused(
    load: Load, tmp_path: Path, sounding: int, side: str
) -> None:
    # the first R - 1 samples of the validation part are context: a sound there alone has no ESR
    files = {"x": _input(500), "y": _target(500)}
    files[side][400 + sounding :] = 0.0
    scored = 100 - (R - 1)
    message = f"{tmp_path / side}.wav: the validation part: is silent: all {scored} samples are 0"
    _refused(load, message + "; check the recording (data.validation_seconds).", **files)


def test_one_scored_sample_that_sounds_is_enough(load: Load) -> None:
    y = _target(500)
    y[400:] = 0.0
    y[400 + R - 1] = 0.5
    assert load(y=y).validation[0].target[R - 1] == 0.5


@pytest.mark.parametrize(("field", "fits"), [(397, True), (398, False)])
def test_the_training_part_must_hold_one_window(load: Load, tmp_path: Path, field: int, fits: bool) -> None:
    settings = {"receptive_field": field, "validation_seconds": 4.0, "x": _input(800), "y": _target(800)}
    if fits:
        assert load(**settings).train[0].target.size == field + 4 - 1
        return
    message = (
        f"{tmp_path / 'y.wav'}: the training part has 400 samples and the model needs 401 (its "
        "receptive field and data.ny=4); record more"
    )
    _refused(load, message, **settings)


@pytest.mark.parametrize(("field", "fits"), [(100, True), (101, False)])
def test_the_validation_part_must_hold_the_receptive_field(
    load: Load, tmp_path: Path, field: int, fits: bool
) -> None:
    if fits:
        assert load(receptive_field=field).validation[0].target.size == field
        return
    message = (
        f"{tmp_path / 'y.wav'}: the validation part has 100 samples and the model needs 101 (its "
        "receptive field); record more"
    )
    _refused(load, message, receptive_field=field)


@pytest.mark.parametrize("seconds", [5.0, 9.0])
def test_a_validation_part_that_leaves_nothing_is_refused(load: Load, tmp_path: Path, seconds: float) -> None:
    message = (
        f"data.validation_seconds (= {seconds:g}) leaves nothing to train on: {tmp_path / 'y.wav'} has 5.00 s"
    )
    _refused(load, message, validation_seconds=seconds)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start_samples": 501}, "data.start (= 501 samples) lies outside {x}, which has 500."),
        ({"stop_seconds": 5.5}, "data.stop (= 550 samples) lies outside {x}, which has 500."),
        ({"start_seconds": -6}, "data.start (= -600 samples) lies outside {x}, which has 500."),
        (
            {"start_samples": 200, "stop_seconds": 2.0},
            "data: start (= sample 200) must lie before stop (= sample 200) in {x}.",
        ),
    ],
)
def test_a_range_outside_the_recording_is_refused(
    load: Load, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    _refused(load, message.format(x=tmp_path / "x.wav"), **settings)

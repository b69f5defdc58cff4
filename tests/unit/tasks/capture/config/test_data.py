from __future__ import annotations

import math
from typing import Any

import pytest

from namexp.errors import UserError
from namexp.tasks.capture.config.data import DataConfig, PairPlan

PLAIN: dict[str, Any] = {
    "input": None, "target": None, "pairs": None, "delay": 0,
    "start_seconds": None, "stop_seconds": None, "start_samples": None, "stop_samples": None,
    "validation_seconds": 9.0, "sample_rate": None, "ny": 8192, "batch_size": 16,
    "input_gain_db": 0.0, "target_scale": 1.0, "level_rms_dbfs": None, "allow_unequal_lengths": False,
}  # fmt: skip
FILES = {"input": "in.wav", "target": "amp.wav"}


def data(**changes: Any) -> DataConfig:
    return DataConfig(**{**PLAIN, **changes})


def refusal(**changes: Any) -> str:
    with pytest.raises(UserError) as error:
        data(**changes)
    return str(error.value)


# --- which recording ------------------------------------------------------------------------------


def test_without_files_the_embedded_recording_is_used() -> None:
    config = data(delay=3)
    assert config.embedded is True
    assert config.recordings == (PairPlan(None, None, delay=3),)


def test_two_files_are_one_recording() -> None:
    config = data(**FILES, delay=-7, start_seconds=1, stop_samples=-480, validation_seconds=2.5)
    assert config.embedded is False
    assert config.recordings == (
        PairPlan(
            "in.wav", "amp.wav",
            delay=-7, start_seconds=1.0, stop_samples=-480, validation_seconds=2.5, use="both",
        ),
    )  # fmt: skip


@pytest.mark.parametrize(("have", "lack"), [("input", "target"), ("target", "input")])
def test_one_file_without_the_other_is_refused(have: str, lack: str) -> None:
    assert refusal(**{have: "a.wav"}) == (
        f"data.{have} (= a.wav) is given without data.{lack}; give both files, or neither for the "
        "embedded recording."
    )


def test_pairs_take_over_delay_and_validation_unless_they_name_their_own() -> None:
    pairs = [
        {"input": "a.wav", "target": "b.wav", "use": "train"},
        {
            "input": "c.wav", "target": "d.wav", "use": "validation",
            "delay": 0, "validation_seconds": 3, "start_seconds": 1.5, "stop_samples": 4800,
        },
    ]  # fmt: skip
    config = data(pairs=pairs, delay=5, validation_seconds=4.0)
    assert config.recordings == (
        PairPlan("a.wav", "b.wav", delay=5, validation_seconds=4.0, use="train"),
        PairPlan(
            "c.wav", "d.wav",
            delay=0, start_seconds=1.5, stop_samples=4800, validation_seconds=3.0, use="validation",
        ),
    )  # fmt: skip
    assert config.embedded is False


PAIR = {"input": "a.wav", "target": "b.wav"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pairs": [PAIR], **FILES},
            "data.pairs and data.input (= 'in.wav') are both given; keep one of them.",
        ),
        ({"pairs": []}, "data.pairs (= []) must be a list of {input, target}."),
        ({"pairs": "a.wav"}, "data.pairs (= 'a.wav') must be a list of {input, target}."),
        ({"pairs": ["a.wav"]}, "data.pairs[0] (= 'a.wav') must be a mapping of names to values."),
        ({"pairs": [PAIR, {"input": "a.wav"}]}, "data.pairs[1].target is missing; give it a value."),
        ({"pairs": [{**PAIR, "input": 3}]}, "data.pairs[0].input (= 3) must be text."),
        (
            {"pairs": [{**PAIR, "dealy": 3}]},
            "data.pairs[0].dealy (= 3) is not a known setting; did you mean 'delay'?",
        ),
        (
            {"pairs": [{**PAIR, "use": "trian"}]},
            "data.pairs[0].use (= 'trian') must be one of both, train, validation; did you mean 'train'?",
        ),
        (
            {"pairs": [{**PAIR, "use": "train"}]},
            "data.pairs has no recording for validation; set use: both or validation.",
        ),
        (
            {"pairs": [{**PAIR, "use": "validation"}]},
            "data.pairs has no recording for train; set use: both or train.",
        ),
        ({"pairs": [{**PAIR, "delay": 1.5}]}, "data.pairs[0].delay (= 1.5) must be a whole number."),
        (
            {"pairs": [{**PAIR, "validation_seconds": 0}]},
            "data.pairs[0].validation_seconds (= 0.0) must be above 0.",
        ),
        (
            {"pairs": [{**PAIR, "start_seconds": 1, "start_samples": 48000}]},
            "data.pairs[0].start_seconds and start_samples are both given; keep one.",
        ),
        (
            {"pairs": [PAIR], "start_seconds": 2.0},
            "data.start_seconds (= 2.0) has no effect with data.pairs; give it in the pair that "
            "it belongs to.",
        ),
        (
            {"pairs": [PAIR], "stop_samples": -480},
            "data.stop_samples (= -480) has no effect with data.pairs; give it in the pair that "
            "it belongs to.",
        ),
    ],
)
def test_pairs_that_say_nothing_sensible_are_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(**changes) == message


# --- ranges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ny": 0}, "data.ny (= 0) must be above 0."),
        ({"ny": -1}, "data.ny (= -1) must be above 0."),
        ({"batch_size": 0}, "data.batch_size (= 0) must be above 0."),
        ({"validation_seconds": 0.0}, "data.validation_seconds (= 0.0) must be above 0."),
        ({"validation_seconds": math.nan}, "data.validation_seconds (= nan) must be above 0."),
        ({"input_gain_db": math.inf}, "data.input_gain_db (= inf) must lie between -120 and 120."),
        (
            {"level_rms_dbfs": 900.0},
            "data.level_rms_dbfs (= 900) must lie between -120 and 0 dBFS; -18 is usual.",
        ),
        ({"target_scale": 0.0}, "data.target_scale (= 0.0) must be finite and not 0."),
        ({"target_scale": math.inf}, "data.target_scale (= inf) must be finite and not 0."),
        ({"sample_rate": 0}, "data.sample_rate (= 0) must be at least 1."),
        ({"sample_rate": 44100.5}, "data.sample_rate (= 44100.5) must be a whole number."),
        ({"sample_rate": "48k"}, "data.sample_rate (= '48k') must be a whole number."),
        (
            {"level_rms_dbfs": "loud"},
            "data.level_rms_dbfs (= 'loud') must be a level in dB, such as -18.0, or null for the "
            "recording as it is.",
        ),
        (
            {"level_rms_dbfs": math.nan},
            "data.level_rms_dbfs (= nan) must be a level in dB, such as -18.0, or null for the recording "
            "as it is.",
        ),
        ({"delay": 1.5}, "data.delay (= 1.5) must be a whole number."),
        ({"delay": "late"}, "data.delay (= 'late') must be a whole number."),
        ({"delay": True}, "data.delay (= True) must be a whole number."),
        ({"start_seconds": "soon"}, "data.start_seconds (= 'soon') must be a finite number."),
        ({"stop_seconds": math.inf}, "data.stop_seconds (= inf) must be a finite number."),
        ({"start_samples": 0.5}, "data.start_samples (= 0.5) must be a whole number."),
        (
            {"start_seconds": 1.0, "start_samples": 3},
            "data.start_seconds and start_samples are both given; keep one.",
        ),
        (
            {"stop_seconds": 1.0, "stop_samples": 3},
            "data.stop_seconds and stop_samples are both given; keep one.",
        ),
    ],
)
def test_a_value_out_of_range_is_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(**changes) == message


@pytest.mark.parametrize(("delay", "samples"), [(None, 0), (0, 0), (-12, -12), (7.0, 7)])
def test_delay_is_in_whole_samples(delay: Any, samples: int) -> None:
    assert data(delay=delay).recordings[0].delay == samples


def test_start_in_seconds_and_stop_in_samples_may_be_mixed() -> None:
    (pair,) = data(start_seconds=-20, stop_samples=-48).recordings
    assert (pair.start_seconds, pair.start_samples) == (-20.0, None)
    assert (pair.stop_seconds, pair.stop_samples) == (None, -48)


def test_numbers_written_as_integers_become_what_they_are() -> None:
    config = data(sample_rate=48000.0, level_rms_dbfs=-18)
    assert (config.sample_rate, type(config.sample_rate)) == (48000, int)
    assert (config.level_rms_dbfs, type(config.level_rms_dbfs)) == (-18.0, float)

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from namexp.conf_dir import conf_dir
from namexp.errors import UserError
from tests.unit.tasks.vocoder.clip_sets import speech_data


def test_without_a_directory_the_set_is_embedded() -> None:
    data = speech_data()
    assert data.embedded
    assert not data.fine_tuning
    assert data.peak_normalized
    assert (data.segment_size, data.batch_size, data.num_workers) == (8192, 16, 0)
    assert (data.expected_test_files, data.accept_untested) == (3, False)


def test_stored_mels_are_of_clips_as_they_are() -> None:
    data = speech_data(dir="d", mels="m", normalize=True)
    assert data.fine_tuning
    assert not data.peak_normalized
    assert not speech_data(dir="d", normalize=False).peak_normalized


@pytest.mark.parametrize(
    ("name", "split", "train", "validation"),
    [
        ("ljspeech", "ljspeech", 12950, 150),
        ("ljspeech_report", "report", 10712, 2388),
        ("ljspeech_nanoflow", "nanoflow", 11790, 1310),
    ],
)
def test_the_splits_of_ljspeech_expect_their_counts(
    name: str, split: str, train: int, validation: int
) -> None:
    values = yaml.safe_load((Path(conf_dir()) / "data" / f"{name}.yaml").read_text())
    assert values.pop("defaults") == ["speech", "_self_"]
    data = speech_data(**values, dir="d")
    assert (data.split, data.expected_train_clips, data.expected_validation_clips) == (
        split,
        train,
        validation,
    )
    with pytest.raises(UserError, match=r"data\.split \(= '\w+'\) needs data\.dir"):
        speech_data(**values)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"segment_size": 0}, "data.segment_size (= 0) must be at least 1."),
        ({"batch_size": -1}, "data.batch_size (= -1) must be at least 1."),
        ({"num_workers": -1}, "data.num_workers (= -1) must be at least 0."),
        ({"cache_gb": -0.5}, "data.cache_gb (= -0.5) must be at least 0."),
        ({"cache_gb": float("nan")}, "data.cache_gb (= nan) must be at least 0."),
        ({"dir": 3}, "data.dir (= 3) must be the name of a file or directory, or null."),
        ({"dir": "d", "split": "ljspech"}, "data.split (= 'ljspech') is unknown; did you mean 'ljspeech'?"),
        (
            {"dir": "d", "expected_train_clips": 1.5},
            "data.expected_train_clips (= 1.5) must be a whole number.",
        ),
        (
            {"dir": "d", "expected_validation_clips": 0},
            "data.expected_validation_clips (= 0) must be at least 1.",
        ),
        ({"expected_test_files": 0}, "data.expected_test_files (= 0) must be at least 1."),
        ({"train_list": "x.txt"}, "data.train_list (= 'x.txt') needs data.dir"),
        ({"mels": "m"}, "data.mels (= 'm') needs data.dir"),
        ({"expected_train_clips": 3}, "data.expected_train_clips (= 3) needs data.dir"),
        ({"segment_sise": 3}, "data.segment_sise (= 3) is not a known setting; did you mean 'segment_size'?"),
        ({"normalize": "perhaps"}, "data.normalize (= 'perhaps')"),
    ],
)
def test_values_that_are_refused(changed: dict[str, object], said: str) -> None:
    with pytest.raises(UserError) as caught:
        speech_data(**changed)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_home_directory_is_written_out() -> None:
    assert speech_data(dir="~/speech").dir == str(Path.home() / "speech")

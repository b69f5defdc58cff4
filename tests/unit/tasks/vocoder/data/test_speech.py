from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from namexp.audio.mel_scale import MelSpec
from namexp.audio.speech import embedded_speech
from namexp.data.splits import OFFICIAL_VALIDATION
from namexp.errors import UserError
from namexp.tasks.vocoder.data.speech import Speech, load_speech
from tests.unit.tasks.vocoder.clip_sets import MEL, noise, speech_data, write_clip, write_set


def _load(directory: Path, **changed: object) -> Speech:
    return load_speech(speech_data(dir=str(directory), **changed), MEL)


def _names(speech: Speech) -> tuple[list[str], list[str]]:
    return [u.name for u in speech.train], [u.name for u in speech.validation]


def _refused(directory: Path, said: str, **changed: object) -> str:
    with pytest.raises(UserError) as caught:
        _load(directory, **changed)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    return message


# --- which clips ------------------------------------------------------------------------------------


def test_lists_say_what_trains_and_what_validates(tmp_path: Path) -> None:
    speech = _load(write_set(tmp_path))
    assert _names(speech) == (["a", "b", "c"], ["v"])
    assert [u.num_samples for u in (*speech.train, *speech.validation)] == [9000, 9100, 9200, 9300]
    assert speech.facts == {
        "sample_rate": 22050, "mel": MEL._asdict(), "train_clips": 3, "train_seconds": 1.238,
        "validation_clips": 1, "validation_seconds": 0.422, "peak_normalized": True,
    }  # fmt: skip
    assert speech.tags == ()
    assert speech.source == str(tmp_path)


def test_lists_by_other_names(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "mine.txt").write_text("b|\n")
    elsewhere = tmp_path / "lists" / "check.txt"
    elsewhere.parent.mkdir()
    elsewhere.write_text("../wavs/c.wav\n")
    speech = _load(tmp_path, train_list="mine.txt", validation_list=str(elsewhere))
    assert _names(speech) == (["b"], ["c"])
    (tmp_path / "train.txt").rename(tmp_path / "training.txt")  # of the official code
    assert _names(_load(tmp_path)) == (["a", "b", "c"], ["v"])


def test_metadata_alone_is_parted_at_its_end(tmp_path: Path) -> None:
    write_set(tmp_path, train=[f"c{i:02}" for i in range(19)], validation=["z"], size=500)
    (tmp_path / "metadata.csv").write_text("".join(f"c{i:02}|x|x\n" for i in range(19)) + "z|x|x\n")
    for name in ("train.txt", "validation.txt"):
        (tmp_path / name).unlink()
    train, validation = _names(_load(tmp_path))
    assert train == [f"c{i:02}" for i in range(18)]
    assert validation == ["c18", "z"]


def _ljspeech(directory: Path, names: list[str]) -> None:
    for name in names:
        write_clip(directory / "wavs" / f"{name}.wav", noise(name, 400))
    (directory / "metadata.csv").write_text("".join(f"{name}|x|x\n" for name in names))


def test_the_splits_of_ljspeech(tmp_path: Path) -> None:
    official = [f"LJ{c:03}-{n:04}" for c, numbers in OFFICIAL_VALIDATION.items() for n in numbers]
    _ljspeech(tmp_path, ["LJ001-0001", "LJ041-0001", *official])
    train, validation = _names(_load(tmp_path, split="ljspeech", expected_validation_clips=150))
    assert (train, validation) == (["LJ001-0001", "LJ041-0001"], official)
    train, validation = _names(_load(tmp_path, split="report"))
    assert {name[:4] for name in validation} == {"LJ04"}
    assert len(train) + len(validation) == 152
    # the report's split is its own: lists that lie there, which part otherwise, do not count
    (tmp_path / "train.txt").write_text("LJ001-0001|\n")
    (tmp_path / "validation.txt").write_text("LJ001-0028|\n")
    assert _names(_load(tmp_path, split="report")) == (train, validation)
    assert _names(_load(tmp_path, split="ljspeech")) == (["LJ001-0001"], ["LJ001-0028"])


@pytest.mark.parametrize("folder", [".", "wavs"])
def test_nanoflows_split_needs_the_clips_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setattr("namexp.data.splits.NANOFLOW_VALIDATION", 2)
    for i, name in enumerate("cadb"):
        write_clip(tmp_path / folder / f"{name}.wav", noise(name, 9000 + i))
    assert _names(_load(tmp_path, split="nanoflow")) == (["c", "d"], ["a", "b"])
    (tmp_path / "metadata.csv").write_text("d|x\nc|x\na|x\n")  # it says which clips there are
    assert _names(_load(tmp_path, split="nanoflow")) == (["d"], ["a", "c"])
    for name, clips in (("train.txt", "a|\nb|\n"), ("validation.txt", "c|\n")):
        (tmp_path / name).write_text(clips)
    assert _names(_load(tmp_path, split="nanoflow")) == (["d"], ["a", "c"]), (
        "lists that lie there part otherwise"
    )
    _refused(
        tmp_path, "parted by nanoflow: has 1 clip for train and", split="nanoflow", expected_train_clips=9
    )


def test_the_lists_of_nanoflows_readme_share_a_clip_which_is_refused_by_name(tmp_path: Path) -> None:
    write_set(tmp_path, train=("c", "d", "e"), validation=("a", "b"))
    clips = sorted(f"wavs/{path.name}" for path in (tmp_path / "wavs").iterdir())
    (tmp_path / "train_files.txt").write_text("\n".join(clips[1:]))  # tail -n+2: from the second on
    (tmp_path / "test_files.txt").write_text("\n".join(clips[:2]))
    lists = {"train_list": "train_files.txt", "validation_list": "test_files.txt"}
    message = _refused(tmp_path, "clip wavs/b is listed to train and to validate", **lists)
    assert str(tmp_path / "wavs" / "b.wav") in message


def test_counts_that_differ_from_the_expected(tmp_path: Path) -> None:
    write_set(tmp_path)
    _refused(
        tmp_path,
        f"{tmp_path / 'train.txt'}: has 3 clips for train and data.expected_train_clips says 4",
        expected_train_clips=4,
    )
    _refused(tmp_path, "has 1 clip for validation and", expected_validation_clips=150)
    assert _load(tmp_path, expected_train_clips=3, expected_validation_clips=1)
    _ljspeech(tmp_path / "lj", ["LJ001-0001"])
    _refused(tmp_path / "lj", "metadata.csv, parted by report: has no clips for validation", split="report")
    said = "has 1 clip for train and data.expected_train_clips says 10712"
    _refused(tmp_path / "lj", said, split="report", expected_train_clips=10712)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    _refused(tmp_path / "gone", f"data.dir (= {tmp_path / 'gone'}): no such directory")
    _refused(tmp_path, "holds no train.txt, and no metadata.csv to part; name the list by data.train_list")
    _refused(tmp_path, "holds no metadata.csv, which data.split=report parts", split="report")
    write_set(tmp_path)
    _refused(tmp_path, f"{tmp_path / 'other.txt'}: no such list", train_list="other.txt")
    (tmp_path / "wavs" / "b.wav").unlink()
    message = _refused(tmp_path, f"{tmp_path / 'train.txt'}: line 2: b is not in {tmp_path / 'wavs'}")
    assert "are missing" not in message
    (tmp_path / "wavs" / "c.wav").unlink()
    _refused(tmp_path, "(2 of its 3 clips are missing)")
    (tmp_path / "validation.txt").unlink()
    (tmp_path / "metadata.csv").write_text("a|\n")
    _refused(tmp_path, "holds no validation.txt; name the list by data.validation_list")


def test_clips_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    write_set(tmp_path)
    clip = tmp_path / "wavs" / "b.wav"
    write_clip(clip, np.zeros((999, 2)))
    _refused(tmp_path, f"{clip}: has 2 channels and must have 1")
    write_clip(clip, np.zeros(999), rate=24000)
    _refused(tmp_path, f"{clip}: is recorded at 24000 Hz and the model works at 22050 Hz")
    write_clip(clip, np.zeros(384))
    _refused(tmp_path, f"{clip}: has 384 samples and must have at least 385")
    write_clip(clip, np.full(999, np.nan), subtype="FLOAT")
    _refused(tmp_path, f"{clip}: sample 0 is nan")
    clip.write_bytes(b"text")
    _refused(tmp_path, f"{clip}: not an audio file")


def test_a_clip_in_both_lists(tmp_path: Path) -> None:
    write_set(tmp_path)
    (tmp_path / "validation.txt").write_text("wavs/b.wav\n")
    _refused(tmp_path, "clip wavs/b is listed to train and to validate")


# --- what it is -------------------------------------------------------------------------------------


def test_its_identity_is_the_content_of_each_part(tmp_path: Path) -> None:
    first = _load(write_set(tmp_path / "one"))
    moved = _load(write_set(tmp_path / "two"))
    assert first.sha256 == moved.sha256
    assert {part: len(digests) for part, digests in first.sha256.items()} == {"train": 1, "validation": 1}
    write_clip(tmp_path / "two" / "wavs" / "v.wav", noise("w", 9300))
    changed = _load(tmp_path / "two").sha256
    assert changed["train"] == first.sha256["train"]
    assert changed["validation"] != first.sha256["validation"]


def test_it_is_pickled_without_samples(tmp_path: Path) -> None:
    speech = _load(write_set(tmp_path, size=50000))
    assert len(pickle.dumps(speech)) < 2000
    assert pickle.loads(pickle.dumps(speech)) == speech


def test_the_embedded_set() -> None:
    speech = load_speech(speech_data(), MEL)
    assert (len(speech.train), len(speech.validation)) == (24, 4)
    assert speech.embedded
    assert speech.tags == ("embedded",)
    clips = embedded_speech(22050)
    assert [u.num_samples for u in speech.train] == [samples.size for samples in clips.train.values()]
    assert load_speech(speech_data(), MelSpec(sample_rate=24000)).sha256 != speech.sha256
    assert len(pickle.dumps(speech)) < 3000


def test_segments_must_be_whole_frames() -> None:
    with pytest.raises(
        UserError, match=r"data\.segment_size \(= 8000\) .* 256 samples, such as 7936 or 8192"
    ):
        load_speech(speech_data(segment_size=8000), MEL)
    with pytest.raises(UserError, match=r"\(= 256\) must be at least 385 samples"):
        load_speech(speech_data(segment_size=256), MEL)

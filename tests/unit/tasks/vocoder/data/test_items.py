from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from namexp.audio.mel import log_mel
from namexp.data.segments import Draw
from namexp.data.utterances import Utterance
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.data.clips import Clips
from namexp.tasks.vocoder.data.items import (
    Item,
    Segments,
    WholeClips,
    WithMels,
    collate,
    together,
    with_mels,
)
from namexp.tasks.vocoder.mels import SILENCE
from tests.unit.tasks.vocoder.clip_sets import LOSS_MEL, MEL, noise, write_clip

MELS = Mels(MEL, LOSS_MEL)
SEGMENT = 1024


def _clips(directory: Path, *sizes: int, mels: dict[int, np.ndarray] | None = None) -> Clips:
    utterances = []
    for i, size in enumerate(sizes):
        path = write_clip(directory / f"{i}.wav", noise(str(i), size))
        mel = directory / f"{i}.npy"
        if mels and i in mels:
            np.save(mel, mels[i])
        utterances.append(Utterance(str(i), str(path), size, str(mel) if mels and i in mels else None))
    return Clips(utterances, sample_rate=22050, peak_normalized=not mels, cache_bytes=10**7)


def _segments(clips: Clips, seed: int = 0) -> Segments:
    return Segments(clips, segment_size=SEGMENT, mel=MEL, seed=seed)


# --- segments ---------------------------------------------------------------------------------------


def _start(segment: torch.Tensor, whole: np.ndarray) -> int:
    windows = np.lib.stride_tricks.sliding_window_view(whole, segment.numel())
    (found,) = np.flatnonzero((windows == segment.numpy().ravel()).all(axis=1))
    return int(found)


def test_segments_begin_anywhere_both_ends_included(tmp_path: Path) -> None:
    clips = _clips(tmp_path, SEGMENT + 3)
    segments, whole = _segments(clips), clips.cut(0)
    starts = [_start(segments[Draw(turn, 0)].audio, whole) for turn in range(200)]
    counts = np.bincount(starts)
    assert counts.size == 4
    # five standard deviations of a binomial count
    assert np.abs(counts - 50).max() < 5 * (200 * 0.25 * 0.75) ** 0.5


def test_a_clip_of_a_segments_length_is_taken_whole(tmp_path: Path) -> None:
    clips = _clips(tmp_path, SEGMENT)
    audio = _segments(clips)[Draw(7, 0)].audio
    assert audio.shape == (1, SEGMENT)
    np.testing.assert_array_equal(audio[0], clips.cut(0))


def test_zeros_stand_right_of_a_shorter_clip(tmp_path: Path) -> None:
    clips = _clips(tmp_path, 700)
    audio = _segments(clips)[Draw(7, 0)].audio
    assert audio.shape == (1, SEGMENT)
    np.testing.assert_array_equal(audio[0, :700], clips.cut(0))
    assert not audio[0, 700:].any()


def test_a_segment_follows_from_seed_and_draw_alone(tmp_path: Path) -> None:
    clips = _clips(tmp_path, 9000, 9500)
    draws = [Draw(turn, clip) for turn in range(3) for clip in range(2)]
    first = [_segments(clips)[draw].audio for draw in draws]
    torch.manual_seed(5)
    np.random.seed(5)
    backwards = _segments(clips)
    for draw, audio in reversed(list(zip(draws, first, strict=True))):
        assert torch.equal(backwards[draw].audio, audio)
    assert not any(torch.equal(first[0], other) for other in first[1:])
    assert not torch.equal(_segments(clips, seed=1)[draws[0]].audio, first[0])


def test_clips_are_normalised_as_a_whole(tmp_path: Path) -> None:
    clips = _clips(tmp_path, 20 * SEGMENT)
    peaks = [float(_segments(clips)[Draw(turn, 0)].audio.abs().max()) for turn in range(5)]
    whole = clips.cut(0)
    assert np.abs(whole).max() == np.float32(0.95)
    assert min(peaks) < 0.95


# --- fine-tuning ------------------------------------------------------------------------------------


def _numbered(frames: int) -> np.ndarray:
    """(80, F) whose values are the numbers of their frames, made small."""
    return np.broadcast_to(np.arange(frames, dtype=np.float32) / 100, (80, frames)).copy()


def test_mel_and_audio_are_cut_together(tmp_path: Path) -> None:
    frames = 9
    clips = _clips(tmp_path, frames * 256 + 100, mels={0: _numbered(frames)})
    segments, whole = _segments(clips), clips.cut(0)
    np.testing.assert_array_equal(whole, noise("0", whole.size).astype(np.float32) / 32768)  # as it is
    seen = set()
    for turn in range(100):
        cut = segments[Draw(turn, 0)]
        assert cut.mel is not None
        assert cut.mel.shape == (80, 4)
        start = round(float(cut.mel[0, 0]) * 100)
        np.testing.assert_array_equal(cut.mel[3], _numbered(frames)[3, start : start + 4])
        np.testing.assert_array_equal(cut.audio[0], whole[start * 256 : start * 256 + SEGMENT])
        seen.add(start)
    assert seen == set(range(6))


@pytest.mark.parametrize("frames", [1, 3, 4, 5])
def test_stored_mels_about_as_long_as_a_segment(tmp_path: Path, frames: int) -> None:
    """The official code raises where a clip has a segment's length and its mel is no longer."""
    clips = _clips(tmp_path, 5 * 256, mels={0: _numbered(frames)})
    whole = clips.cut(0)
    for turn in range(4):
        audio, mel, _ = _segments(clips)[Draw(turn, 0)]
        assert mel is not None
        assert (audio.shape, mel.shape) == ((1, SEGMENT), (80, 4))
        kept = min(frames, 4)
        start = round(float(mel[0, 0]) * 100)
        assert (mel[:, kept:] == np.float32(SILENCE)).all()
        np.testing.assert_array_equal(audio[0, : kept * 256], whole[start * 256 : (start + kept) * 256])
        assert not audio[0, kept * 256 :].any()


def test_a_mel_longer_than_its_clip_ends_with_it(tmp_path: Path) -> None:
    clips = _clips(tmp_path, 6 * 256 + 10, mels={0: _numbered(8)})
    starts = {round(float(_segments(clips)[Draw(turn, 0)].mel[0, 0]) * 100) for turn in range(60)}
    assert starts == {0, 1, 2}
    cut = WholeClips(clips, mel=MEL)[0]
    assert cut.mel is not None
    assert (cut.audio.shape, cut.mel.shape) == ((1, 6 * 256), (80, 6))


def test_stored_mels_go_in_and_those_of_the_audio_are_compared(tmp_path: Path) -> None:
    clips = _clips(tmp_path, 4096, mels={0: _numbered(16)})
    item = WithMels(WholeClips(clips, mel=MEL), MELS)[0]
    np.testing.assert_array_equal(item.mel, _numbered(16))
    torch.testing.assert_close(item.mel_for_loss, log_mel(item.audio, LOSS_MEL)[0], rtol=0, atol=0)


# --- items and batches ------------------------------------------------------------------------------


def test_an_item_has_its_four_keys(tmp_path: Path) -> None:
    clips = _clips(tmp_path, 9000)
    item = WithMels(_segments(clips), MELS)[0]
    assert item._fields == ("mel", "audio", "mel_for_loss", "path")
    assert (item.mel.shape, item.audio.shape, item.mel_for_loss.shape) == ((80, 4), (1, SEGMENT), (80, 4))
    assert item.path == str(tmp_path / "0.wav")
    torch.testing.assert_close(item.mel, log_mel(item.audio, MEL)[0])
    assert not torch.equal(item.mel, item.mel_for_loss)  # up to 8 kHz, up to half the rate


def test_a_batch_is_what_its_items_are(tmp_path: Path) -> None:
    clips = _clips(tmp_path, 9000, 9500, 700)
    segments = _segments(clips)
    batch = with_mels(together([segments[Draw(0, i)] for i in range(3)]), MELS)
    other = collate([WithMels(segments, MELS)[i] for i in range(3)])
    assert batch._fields == other._fields
    assert torch.equal(batch.audio, other.audio)
    for name in ("mel", "mel_for_loss"):
        torch.testing.assert_close(getattr(batch, name), getattr(other, name), rtol=0, atol=2e-5)
    for name in ("path", "mel_lens", "audio_lens", "mel_for_loss_lens"):
        ours, theirs = getattr(batch, name), getattr(other, name)
        assert list(ours) == list(theirs)
    assert batch.audio_lens.tolist() == [SEGMENT] * 3


def test_collation_pads_to_the_longest() -> None:
    items = [
        Item(torch.full((80, f), 1.0), torch.full((1, t), 2.0), torch.full((80, f), 3.0), f"{f}.wav")
        for f, t in ((3, 800), (5, 1300))
    ]
    batch = collate(items)
    assert (batch.mel.shape, batch.audio.shape) == ((2, 80, 5), (2, 1, 1300))
    assert batch.path == ["3.wav", "5.wav"]
    for lens, expected in (
        (batch.mel_lens, [3, 5]), (batch.audio_lens, [800, 1300]), (batch.mel_for_loss_lens, [3, 5]),
    ):  # fmt: skip
        assert lens.dtype == torch.int64
        assert lens.tolist() == expected
    assert batch.mel[0, :, 3:].abs().max() == 0
    assert batch.audio[0, :, 800:].abs().max() == 0
    assert batch.audio[0, :, :800].min() == 2

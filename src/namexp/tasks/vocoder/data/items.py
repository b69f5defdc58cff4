"""What a vocoder is trained and scored with: audio, the mel that goes in, and the mel that is compared.

Letters: B batch, T samples, M mels, F frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from namexp.audio.mel import log_mel, log_mels
from namexp.audio.mel_scale import MelSpec
from namexp.data.ragged import padded
from namexp.data.segments import Draw, place
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.data.clips import Clips
from namexp.tasks.vocoder.mels import SILENCE, read_mel


class Cut(NamedTuple):
    """A piece of a clip: (1, T) audio, its stored mel (M, F) if there is one, and where it is from."""

    audio: Tensor
    mel: Tensor | None
    path: str


class Cuts(NamedTuple):
    """A batch of them: (B, 1, T) and (B, M, F), padded, with their lengths (B,)."""

    audio: Tensor
    audio_lens: Tensor
    mel: Tensor | None
    mel_lens: Tensor | None
    path: list[str]


class Item(NamedTuple):
    """(M, F) mel that goes in, (1, T) audio, (M, F) mel that is compared, and the clip's file or name."""

    mel: Tensor
    audio: Tensor
    mel_for_loss: Tensor
    path: str


class Batch(NamedTuple):
    """Items padded on the right to the longest: (B, M, F), (B, 1, T), (B, M, F); and (B,) int64 lengths."""

    mel: Tensor
    audio: Tensor
    mel_for_loss: Tensor
    path: list[str]
    mel_lens: Tensor
    audio_lens: Tensor
    mel_for_loss_lens: Tensor


class Segments(Dataset[Cut]):
    """A segment of a clip for every draw."""

    def __init__(self, clips: Clips, *, segment_size: int, mel: MelSpec, seed: int) -> None:
        self._clips, self._segment_size, self._mel, self._seed = clips, segment_size, mel, seed

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, draw: Draw | int) -> Cut:
        """A pure function of the seed and the draw; an index alone is the draw of the first turn."""
        if not isinstance(draw, Draw):
            draw = Draw(0, draw)
        utterance = self._clips.utterances[draw.clip]
        path = utterance.path or utterance.name
        size = self._segment_size
        if utterance.mel is not None:
            return self._beside_mel(draw, utterance.mel, utterance.num_samples, path)
        start = place(self._seed, draw, max(0, utterance.num_samples - size) + 1)
        return Cut(_audio(self._clips, draw.clip, start, size), None, path)

    def _beside_mel(self, draw: Draw, file: str, num_samples: int, path: str) -> Cut:
        """Mel and audio cut together, at a frame's border; both are padded where either is shorter."""
        hop = self._mel.hop_length
        frames = self._segment_size // hop
        mel = torch.from_numpy(read_mel(file, self._mel.n_mels))
        # frames that have all of their samples
        whole = min(mel.shape[1], num_samples // hop)
        start = place(self._seed, draw, max(0, whole - frames) + 1)
        mel = mel[:, : max(whole, 1)][:, start : start + frames]
        length = mel.shape[1] * hop
        audio = _audio(self._clips, draw.clip, start * hop, length)
        missing = frames - mel.shape[1]
        mel = torch.nn.functional.pad(mel, (0, missing), value=SILENCE)
        return Cut(torch.nn.functional.pad(audio, (0, missing * hop)), mel, path)


class WholeClips(Dataset[Cut]):
    """Every clip at its full length; with a stored mel both as long as the shorter of them."""

    def __init__(self, clips: Clips, *, mel: MelSpec) -> None:
        self._clips, self._mel = clips, mel
        self.utterances = clips.utterances

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> Cut:
        utterance = self._clips.utterances[index]
        path = utterance.path or utterance.name
        if utterance.mel is None:
            return Cut(_audio(self._clips, index, 0, None), None, path)
        mel = torch.from_numpy(read_mel(utterance.mel, self._mel.n_mels))
        frames = min(mel.shape[1], utterance.num_samples // self._mel.hop_length)
        return Cut(_audio(self._clips, index, 0, frames * self._mel.hop_length), mel[:, :frames], path)


class WithMels(Dataset[Item]):
    """Another dataset's cuts, each with both mels: what is fed, one by one, for whoever wants to look."""

    def __init__(self, cuts: Segments | WholeClips, mels: Mels) -> None:
        self._cuts, self._mels = cuts, mels

    def __len__(self) -> int:
        return len(self._cuts)

    def __getitem__(self, index: int) -> Item:
        cut = self._cuts[index]
        mel, mel_for_loss = _both(cut.audio, None if cut.mel is None else cut.mel[None], self._mels)
        return Item(mel[0], cut.audio, mel_for_loss[0], cut.path)


def together(cuts: Sequence[Cut]) -> Cuts:
    """Cuts as a batch."""
    audio, audio_lens = padded([cut.audio for cut in cuts])
    stored = [cut.mel for cut in cuts if cut.mel is not None]
    mel, mel_lens = padded(stored, SILENCE) if stored else (None, None)
    return Cuts(audio, audio_lens, mel, mel_lens, [cut.path for cut in cuts])


def with_mels(cuts: Cuts, mels: Mels) -> Batch:
    """Both mels of a batch, computed where its audio lies.

    Frames of padding are silence; the last frames of a row that is shorter look into it.
    """
    mel, mel_for_loss = _both(cuts.audio[:, 0], cuts.mel, mels)
    lens = cuts.audio_lens // mels.loss.hop_length
    mel_lens = cuts.audio_lens // mels.input.hop_length if cuts.mel_lens is None else cuts.mel_lens
    return Batch(mel, cuts.audio, mel_for_loss, cuts.path, mel_lens, cuts.audio_lens, lens)


def collate(items: Sequence[Item]) -> Batch:
    """Items as a batch: padded to the longest, with their lengths; paths pass through."""
    mel, mel_lens = padded([item.mel for item in items])
    audio, audio_lens = padded([item.audio for item in items])
    mel_for_loss, lens = padded([item.mel_for_loss for item in items])
    return Batch(mel, audio, mel_for_loss, [item.path for item in items], mel_lens, audio_lens, lens)


def _audio(clips: Clips, index: int, start: int, length: int | None) -> Tensor:
    return torch.from_numpy(clips.cut(index, start, length))[None]


def _both(audio: Tensor, stored: Tensor | None, mels: Mels) -> tuple[Tensor, Tensor]:
    """(B, T) audio to (B, M, F) of both; the magnitudes are shared where the frames are the same."""
    if stored is not None:
        return stored, log_mel(audio, mels.loss)
    if _frames(mels.input) == _frames(mels.loss):
        mel, mel_for_loss = log_mels(audio, (mels.input, mels.loss))
        return mel, mel_for_loss
    return log_mel(audio, mels.input), log_mel(audio, mels.loss)


def _frames(spec: MelSpec) -> tuple[int, int, int]:
    return spec.n_fft, spec.hop_length, spec.win_length

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from namexp.audio.mel import log_mel
from namexp.tasks.vocoder.data.items import Batch
from namexp.tasks.vocoder.data.module import SpeechDataModule
from namexp.tasks.vocoder.data.speech import load_speech
from tests.unit.tasks.vocoder.clip_sets import LOSS_MEL, MEL, speech_data, write_set

NAMES = [f"c{i}" for i in range(8)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("speech"), train=NAMES, validation=("v", "w"))


def _module(
    directory: Path, *, num_batches: int | None = None, world: tuple[int, int] = (0, 1), **changed: Any
):
    config = speech_data(dir=str(directory), batch_size=4, segment_size=1024, **changed)
    return SpeechDataModule(
        load_speech(config, MEL), config, loss_mel=LOSS_MEL, seed=3, rank=world[0], world_size=world[1],
        num_batches=num_batches,
    )  # fmt: skip


def _epoch(data: SpeechDataModule, epoch: int) -> list[Batch]:
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(epoch)
    return [data.on_after_batch_transfer(batch, 0) for batch in loader]


def _equal(first: list[Batch], second: list[Batch]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(
        torch.equal(a.audio, b.audio) and torch.equal(a.mel, b.mel) and a.path == b.path for a, b in pairs
    )


def test_batches_have_audio_and_both_mels(directory: Path) -> None:
    data = _module(directory)
    assert data.num_batches == 2
    batch = _epoch(data, 0)[0]
    assert (batch.audio.shape, batch.mel.shape) == ((4, 1, 1024), (4, 80, 4))
    torch.testing.assert_close(batch.mel, log_mel(batch.audio[:, 0], MEL), rtol=0, atol=0)
    torch.testing.assert_close(batch.mel_for_loss, log_mel(batch.audio[:, 0], LOSS_MEL), rtol=0, atol=0)
    assert batch.audio_lens.tolist() == [1024] * 4
    assert batch.mel_lens.tolist() == batch.mel_for_loss_lens.tolist() == [4] * 4


def test_validation_is_whole_clips_one_at_a_time(directory: Path) -> None:
    data = _module(directory)
    batches = [data.on_after_batch_transfer(batch, 0) for batch in data.val_dataloader()]
    assert [batch.audio.shape for batch in batches] == [(1, 1, 9800), (1, 1, 9900)]
    assert [batch.mel.shape for batch in batches] == [(1, 80, 38), (1, 80, 38)]
    assert [Path(path).stem for batch in batches for path in batch.path] == ["v", "w"]
    torch.testing.assert_close(batches[0].audio.abs().max(), torch.tensor(0.95), rtol=0, atol=0)


def test_every_clip_once_an_epoch_and_each_epoch_in_another_order(directory: Path) -> None:
    data = _module(directory)
    epochs = [[Path(path).stem for batch in _epoch(data, e) for path in batch.path] for e in range(3)]
    assert all(sorted(epoch) == NAMES for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_an_epoch_follows_from_its_number_alone(directory: Path) -> None:
    """Workers, what is kept in memory and a training that was cut off change nothing."""
    first = _module(directory)
    in_turn = [_epoch(first, epoch) for epoch in range(2)]
    assert _equal(_epoch(_module(directory, cache_gb=0.0), 1), in_turn[1])
    assert _equal(_epoch(_module(directory, num_workers=2), 1), in_turn[1])
    assert not _equal(in_turn[0], in_turn[1])


def test_epochs_longer_than_the_clips_draw_other_segments(directory: Path) -> None:
    data = _module(directory, num_batches=5)
    batches = _epoch(data, 0)
    assert len(batches) == data.num_batches == 5
    # turn 0 is what it is alone, turn 1 what epoch 1 would be
    single = _module(directory)
    assert _equal(batches[:4], [*_epoch(single, 0), *_epoch(single, 1)])


def test_processes_have_a_part_of_every_batch(directory: Path) -> None:
    whole = _epoch(_module(directory), 1)
    parts = [_epoch(_module(directory, world=(rank, 2)), 1) for rank in range(2)]
    for batch, first, second in zip(whole, *parts, strict=True):
        assert torch.equal(batch.audio, torch.cat([first.audio, second.audio]))


class _Listener(pl.LightningModule):
    """Learns nothing and remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.heard: list[Batch] = []
        self.checked: list[Batch] = []

    def training_step(self, batch: Batch, batch_idx: int) -> torch.Tensor:
        self.heard.append(batch)
        return 0.0 * self.weight.sum()

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        self.checked.append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.mark.parametrize("limit", [None, 1])
def test_lightning_says_the_epoch_and_computes_the_mels(
    directory: Path, tmp_path: Path, limit: int | None
) -> None:
    listener = _Listener()
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=3, limit_train_batches=limit, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, precision="64-true",
        default_root_dir=tmp_path, log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(listener, _module(directory))
    expected = _module(directory)
    batches = [batch for epoch in range(3) for batch in _epoch(expected, epoch)[:limit]]
    assert [batch.path for batch in listener.heard] == [batch.path for batch in batches]
    for ours, theirs in zip(listener.heard, batches, strict=True):
        assert ours.mel.dtype == ours.audio.dtype == torch.float64
        assert torch.equal(ours.audio.float(), theirs.audio)
        assert ours.audio_lens.dtype == torch.int64
    assert len(listener.checked) == 6

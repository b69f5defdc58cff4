"""Clips of speech as Lightning wants them."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from namexp.audio.mel_scale import MelSpec
from namexp.data.order import EpochOrder
from namexp.data.segments import DrawnBatches
from namexp.engine.task import TaskData
from namexp.tasks.vocoder.config.data import SpeechData
from namexp.tasks.vocoder.config.mel import Mels
from namexp.tasks.vocoder.data.clips import Clips
from namexp.tasks.vocoder.data.items import Batch, Cuts, Segments, WholeClips, together, with_mels
from namexp.tasks.vocoder.data.speech import Speech

GIGABYTE = 10**9
VALIDATION_SHARE = 0.1  # of the cache


class SpeechDataModule(TaskData):
    """Batches of segments for training, whole clips for validation; the mels are computed on the device."""

    def __init__(
        self,
        speech: Speech,
        config: SpeechData,
        *,
        loss_mel: MelSpec,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        num_batches: int | None = None,
    ) -> None:
        """Prepare the batches of one process.

        Args:
            speech: what is learned from.
            config: the data group.
            loss_mel: the mel that is compared.
            seed: of the order of clips and of the segments.
            rank: of the process, from 0.
            world_size: processes that share every batch.
            num_batches: of an epoch, where it is counted in batches (``trainer.limit_train_batches``); more
                than the clips give go through them again, in another order. None: as many as they give.

        Raises:
            UserError: a batch cannot be cut into equal parts.
        """
        super().__init__()
        self.mels = Mels(speech.mel, loss_mel)
        self._num_workers = config.num_workers
        readers = max(1, config.num_workers)
        room = int(config.cache_gb * GIGABYTE)
        clips = partial(Clips, sample_rate=speech.sample_rate, peak_normalized=speech.peak_normalized)
        train = clips(speech.train, cache_bytes=int(room * (1 - VALIDATION_SHARE)) // readers)
        validation = clips(speech.validation, cache_bytes=int(room * VALIDATION_SHARE))
        self.train_set = Segments(train, segment_size=config.segment_size, mel=speech.mel, seed=seed)
        self.validation_set = WholeClips(validation, mel=speech.mel)
        order = EpochOrder(
            len(train),
            batch_size=config.batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            called="clips",
        )
        self.draws = DrawnBatches(order, num_batches=num_batches)

    @property
    def num_batches(self) -> int:
        """Of an epoch."""
        return len(self.draws)

    def train_dataloader(self) -> DataLoader[Any]:
        """Shuffled segments; Lightning calls ``set_epoch`` of the batch sampler.

        Where it goes on in a later epoch it does so after workers have begun to read: they must know before.
        """
        if self.trainer is not None:
            self.draws.set_epoch(self.trainer.current_epoch)
        return DataLoader(
            self.train_set, batch_sampler=self.draws, collate_fn=together, num_workers=self._num_workers,
            persistent_workers=self._num_workers > 0, pin_memory=self._elsewhere,
        )  # fmt: skip

    def val_dataloader(self) -> DataLoader[Any]:
        """One clip at a time, at its full length."""
        return DataLoader(self.validation_set, batch_size=1, collate_fn=together)

    @property
    def validation_names(self) -> list[str]:
        """Of the clips of the validation."""
        return [utterance.name for utterance in self.validation_set.utterances]

    def validation_clip(self, index: int) -> tuple[Tensor, Tensor]:
        """(1, M, F) mel and (1, 1, T) audio of one clip of the validation, on the CPU."""
        batch = with_mels(together([self.validation_set[index]]), self.mels)
        return batch.mel, batch.audio

    @property
    def _elsewhere(self) -> bool:
        """Whether the training is computed by another device than the CPU."""
        return self.trainer is not None and self.trainer.strategy.root_device.type != "cpu"

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """Compute the mels, where the audio is by now."""
        del dataloader_idx
        assert isinstance(batch, Cuts), f"batches of this module, got {type(batch).__name__}"
        with torch.no_grad():
            return with_mels(batch, self.mels)

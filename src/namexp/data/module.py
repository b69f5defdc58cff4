"""Recordings as Lightning wants them."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
from torch.utils.data import DataLoader

from namexp.data.recordings import Recordings
from namexp.data.windows import Batch, EpochOrder, ValidationDataset, WindowDataset


def _as_it_is(batch: Any) -> Any:
    return batch


class CaptureDataModule(pl.LightningDataModule):
    """Batches of windows for training, whole recordings for validation, all from memory."""

    def __init__(
        self,
        recordings: Recordings,
        *,
        receptive_field: int,
        ny: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.train_set = WindowDataset(recordings.train, receptive_field=receptive_field, ny=ny)
        self.validation_set = ValidationDataset(recordings.validation, receptive_field=receptive_field)
        self.order = EpochOrder(
            len(self.train_set), batch_size=batch_size, seed=seed, rank=rank, world_size=world_size
        )

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled windows; Lightning calls ``set_epoch`` of the batch sampler."""
        return DataLoader(self.train_set, batch_sampler=self.order, collate_fn=_as_it_is)

    def val_dataloader(self) -> DataLoader[Batch]:
        """One recording at a time."""
        return DataLoader(self.validation_set, batch_size=None)

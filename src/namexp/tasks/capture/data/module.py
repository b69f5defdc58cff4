"""Recordings as Lightning wants them."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import DataLoader

from namexp.data.order import EpochOrder
from namexp.engine.task import TaskData
from namexp.tasks.capture.data.recordings import Recordings
from namexp.tasks.capture.data.windows import (
    Batch,
    Picked,
    PickedWindows,
    ResidentWindows,
    ValidationDataset,
    WindowDataset,
)


def _as_it_is(batch: Any) -> Any:
    return batch


class CaptureDataModule(TaskData):
    """Batches of windows for training, whole recordings for validation, all from memory.

    A device other than the CPU holds the recordings itself and is told only which windows a batch has.
    """

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
            len(self.train_set),
            batch_size=batch_size,
            seed=seed,
            rank=rank,
            world_size=world_size,
            called="windows",
        )
        self._resident: ResidentWindows | None = None

    @property
    def num_batches(self) -> int:
        """Of an epoch."""
        return len(self.order)

    def train_dataloader(self) -> DataLoader[Batch] | DataLoader[Picked]:
        """Shuffled windows; Lightning calls ``set_epoch`` of the batch sampler."""
        if self._elsewhere:
            names = PickedWindows(len(self.train_set))
            return DataLoader(names, batch_sampler=self.order, collate_fn=_as_it_is)
        return DataLoader(self.train_set, batch_sampler=self.order, collate_fn=_as_it_is)

    @property
    def _elsewhere(self) -> bool:
        """Whether the training is computed by another device than the CPU."""
        return self.trainer is not None and self.trainer.strategy.root_device.type != "cpu"

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Bring a batch to ``device``, or gather there what it names."""
        if not isinstance(batch, Picked):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        if self._resident is None:
            self._resident = self.train_set.resident(device)
        assert self.trainer is not None, "Lightning transfers"
        # Lightning has converted what came from the loader: names, no samples
        return self.trainer.precision_plugin.convert_input(self._resident.gather(batch))

    def teardown(self, stage: str) -> None:
        """Give the device's memory back."""
        del stage
        self._resident = None

    def val_dataloader(self) -> DataLoader[Batch]:
        """One recording at a time."""
        return DataLoader(self.validation_set, batch_size=None)

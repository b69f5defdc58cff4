"""Images as Lightning wants them.

Letters: B batch, S height and width.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from namexp.data.order import EpochOrder
from namexp.data.segments import DrawnBatches
from namexp.engine.task import TaskData
from namexp.ranks.place import Place
from namexp.tasks.density.config.data import ImageData
from namexp.tasks.density.data.items import DrawnImages, WholeImages, together
from namexp.tasks.density.data.pictures import Pictures


class ImageDataModule(TaskData):
    """Batches of images, in the order of the seed for training."""

    def __init__(
        self,
        pictures: Pictures,
        config: ImageData,
        *,
        seed: int,
        place: Place,
        num_batches: int | None = None,
    ) -> None:
        """Prepare the batches of one process.

        Args:
            pictures: what is learned from.
            config: the data group.
            seed: of the order and of all that is drawn.
            place: of the process among those that share every batch.
            num_batches: of an epoch, where it is counted in batches; None: as many as the images give.

        Raises:
            UserError: a batch cannot be cut into equal parts.
        """
        super().__init__()
        images = pictures.read()
        self._config, self._seed = config, seed
        self.train_set = DrawnImages(images.train, shift=config.shift, flip=config.flip, seed=seed)
        self.validation_set = WholeImages(images.validation, seed=seed)
        self.draws = self._draws(place.rank, place.world_size, num_batches)

    def _draws(self, rank: int, world_size: int, num_batches: int | None) -> DrawnBatches:
        order = EpochOrder(
            len(self.train_set), batch_size=self._config.batch_size, seed=self._seed, rank=rank,
            world_size=world_size, called="images",
        )  # fmt: skip
        return DrawnBatches(order, num_batches=num_batches)

    @property
    def num_batches(self) -> int:
        """Of an epoch."""
        return len(self.draws)

    def first_images(self) -> Tensor:
        """(B, 3, S, S) float64: the first ``data.init_batches`` batches, whole, the same in every process."""
        batches = list(self._draws(0, 1, None))[: self._config.init_batches]
        return together([self.train_set[draw] for batch in batches for draw in batch])

    def validation_images(self, count: int) -> Tensor:
        """(B, 3, S, S) float64: the first of the validation."""
        return together([self.validation_set[i] for i in range(min(count, len(self.validation_set)))])

    def train_dataloader(self) -> DataLoader[Any]:
        """Drawn images; workers must know the epoch that they begin in."""
        if self.trainer is not None:
            self.draws.set_epoch(self.trainer.current_epoch)
        return DataLoader(
            self.train_set, batch_sampler=self.draws, collate_fn=together,
            num_workers=self._config.num_workers, persistent_workers=self._config.num_workers > 0,
        )  # fmt: skip

    def val_dataloader(self) -> DataLoader[Any]:
        """All of the validation."""
        return DataLoader(
            self.validation_set, batch_size=self._config.validation_batch_size, collate_fn=together
        )

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Tensor:
        """In the precision that the network has, since a device may know no float64."""
        del dataloader_idx
        wanted = torch.float64 if self._in_float64 else torch.float32
        moved: Tensor = batch.to(wanted).to(device)
        return moved

    @property
    def _in_float64(self) -> bool:
        return self.trainer is not None and self.trainer.precision == "64-true"

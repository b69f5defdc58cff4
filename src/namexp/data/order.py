"""The order in which a training sees its items."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from namexp.errors import UserError


class EpochOrder(Sampler[list[int]]):
    """Batches of indices; the order is a pure function of (seed, epoch).

    The last batch of an epoch is left out where it would be smaller, unless it is the only one.
    Where several processes share every batch, each takes its part of the one order.
    """

    def __init__(
        self,
        num_items: int,
        *,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        called: str = "items",
    ) -> None:
        """Order ``num_items`` items.

        Args:
            num_items: there are.
            batch_size: of all processes together.
            seed: of the order.
            rank: which part of every batch is taken, from 0.
            world_size: of so many equal parts.
            called: what an error calls the items.

        Raises:
            UserError: a batch cannot be cut into equal parts.
        """
        self.num_items, self.seed = num_items, seed
        self.batch_size = min(batch_size, num_items)
        self.epoch = 0
        self._part_size, rest = divmod(self.batch_size, world_size)
        if rest:
            raise UserError(
                f"data.batch_size (= {batch_size}): a batch has {self.batch_size} {called} (of "
                f"{num_items}) and {world_size} processes cannot share it equally; choose a batch size or "
                "trainer.devices that fit."
            )
        self._part_start = rank * self._part_size

    @property
    def sampler(self) -> EpochOrder:
        """Itself: of a batch sampler, Lightning looks for ``set_epoch`` only on its ``sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch, by Lightning."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.num_items // self.batch_size

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(self.num_items, generator=generator).tolist()
        for i in range(len(self)):
            start = i * self.batch_size + self._part_start
            yield order[start : start + self._part_size]

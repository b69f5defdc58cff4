"""Where a segment is cut: a pure function of seed, epoch and clip, whoever cuts it and when."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from torch.utils.data import Sampler

from namexp.data.order import EpochOrder


class Draw(NamedTuple):
    """One segment of a clip.

    Attributes:
        turn: how often all clips were gone through before.
        clip: its index.
    """

    turn: int
    clip: int


def place(seed: int, draw: Draw, places: int) -> int:
    """One of ``places`` places, from 0, all equally likely."""
    assert places > 0
    content = f"{seed} {draw.turn} {draw.clip}".encode()
    number = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
    return number * places >> 64


class DrawnBatches(Sampler[list[Draw]]):
    """Batches of draws: the clips in the order of an epoch, and again in further ones while it lasts.

    The sampler knows the epoch and says it with every draw, so that whoever cuts it needs no state.
    """

    def __init__(self, order: EpochOrder, *, num_batches: int | None = None) -> None:
        """Draw from ``order``.

        Args:
            order: of the clips.
            num_batches: of an epoch; None: as many as ``order`` has. Where it asks for more than those, the
                clips are gone through several times, each time in another order.
        """
        self.order = order
        self._num_batches = num_batches or len(order)
        self._turns = max(1, -(-self._num_batches // len(order)))
        self._epoch = 0

    @property
    def sampler(self) -> DrawnBatches:
        """Itself: of a batch sampler, Lightning looks for ``set_epoch`` only on its ``sampler``."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch, by Lightning."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._num_batches

    def __iter__(self) -> Iterator[list[Draw]]:
        left = self._num_batches
        for turn in range(self._epoch * self._turns, (self._epoch + 1) * self._turns):
            self.order.set_epoch(turn)
            for batch in self.order:
                if left == 0:
                    return
                left -= 1
                yield [Draw(turn, clip) for clip in batch]

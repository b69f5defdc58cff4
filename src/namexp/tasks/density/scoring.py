"""What a density has achieved on its validation images, and what the page shows of it.

Letters: N images, S height and width.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from namexp.engine.task import Scores
from namexp.models.glow import Glow
from namexp.tasks.density.data.module import ImageDataModule
from namexp.tasks.density.networks import bits_of
from namexp.tasks.density.showing.sheets import Sheet, draw_sheets


def score(network: Glow, data: ImageDataModule, *, seed: int) -> Scores:
    """Bits per dimension of every validation image; shown are sheets of images.

    Args:
        network: with its best weights, in evaluation mode.
        data: whose validation images are scored.
        seed: of what is drawn to be shown.
    """
    batches: Iterable[Tensor] = data.val_dataloader()
    bits = bits_of(network, batches)
    bpd = bits.mean()[None]
    sheets: list[Sheet] = draw_sheets(network, data, seed=seed)
    spread = bits.std() if len(bits) > 1 else torch.zeros(())
    return Scores(
        values={"val_loss": bpd, "bpd": bpd},
        facts={"bpd_standard_error": float(spread) / len(bits) ** 0.5},
        shown=sheets,
    )

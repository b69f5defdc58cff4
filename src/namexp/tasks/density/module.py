"""The steps of a density: less bits per dimension.

Letters: B batch, S height and width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from namexp.engine.module import Optimisation, TaskModule
from namexp.models.glow import Glow
from namexp.tasks.density.networks import Bits


class DensityModule(TaskModule):
    """Trains a Glow by the likelihood of images."""

    network: Glow

    def __init__(
        self, network: Glow, optimisation: Optimisation, *, first_images: Callable[[], Tensor]
    ) -> None:
        """Put the network to work.

        Args:
            network: what learns.
            optimisation: how.
            first_images: (B, 3, S, S) that set the actnorms, asked for when a training begins.
        """
        super().__init__(network, optimisation)
        self._first_images = first_images

    def on_train_start(self) -> None:
        """Let the first images set the actnorms, unless weights were loaded; where the training goes on."""
        super().on_train_start()
        if bool(self.network.initialised):
            return
        like = next(self.network.parameters())
        with torch.autocast(like.device.type, enabled=False):
            self.network.initialise(self._first_images().to(like.dtype).to(like.device))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """(B, 3, S, S) images."""
        del batch_idx
        bits = Bits.of(self.network, batch)
        loss = bits.bpd.mean()
        self.watch(loss)
        if self.row_is_due:
            for name, values in bits._asdict().items():
                self.tell(f"train/{name}", values.detach().mean())
        return loss

    def validate(self, batch: Tensor) -> Bits:
        """Of every image of a batch."""
        return Bits(*(values.double().cpu() for values in Bits.of(self.network, batch)))

    def validated(self, found: list[Bits]) -> dict[str, Tensor]:
        """Means over all images."""
        means = {name: torch.cat([getattr(b, name) for b in found]).mean()[None] for name in Bits._fields}
        bpd = means.pop("bpd")
        return {"val_loss": bpd, "bpd": bpd, **{f"val/{name}": value for name, value in means.items()}}

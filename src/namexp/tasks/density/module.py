"""The steps of a density: less bits per dimension.

Letters: B batch, S height and width.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from namexp.engine.module import Optimisation, TaskModule
from namexp.errors import UserError
from namexp.models.glow import Glow
from namexp.tasks.density.data.module import ImageDataModule
from namexp.tasks.density.networks import Bits


class DensityModule(TaskModule):
    """Trains a Glow by the likelihood of images."""

    network: Glow

    def __init__(self, network: Glow, optimisation: Optimisation, *, last_checkpoint: Path) -> None:
        """Put the network to work.

        Args:
            network: what learns.
            optimisation: how.
            last_checkpoint: what is good where a loss is not.
        """
        super().__init__(network, optimisation)
        self._last_checkpoint = last_checkpoint
        self._loss: Tensor | None = None  # of the latest step

    def on_train_start(self) -> None:
        """Let the first images set the actnorms, unless weights were loaded; where the training goes on."""
        super().on_train_start()
        if bool(self.network.initialised):
            return
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ImageDataModule)
        like = next(self.network.parameters())
        with torch.autocast(like.device.type, enabled=False):
            self.network.initialise(data.first_images().to(like.dtype).to(like.device))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """(B, 3, S, S) images."""
        del batch_idx
        bits = Bits.of(self.network, batch)
        loss = bits.bpd.mean()
        self._loss = loss.detach()
        if self.row_is_due:
            for name, values in bits._asdict().items():
                self.tell(f"train/{name}", values.detach().mean())
        if self.row_is_due or self.device.type == "cpu":  # elsewhere the device would be waited for
            self._check_loss()
        return loss

    def _check_loss(self) -> None:
        """Stop where nothing can be learned any more.

        Raises:
            UserError: the loss is not finite; it names the last good checkpoint.
        """
        if self._loss is None or bool(torch.isfinite(self._loss)):
            return
        last = self._last_checkpoint
        good = f"the last good checkpoint is {last}" if last.exists() else "no epoch was finished before"
        raise UserError(
            f"batch {self.updates + 1}: the loss is not finite ({good}); lower optimizer.lr, or set "
            "trainer.gradient_clip_norm."
        )

    def on_train_epoch_end(self) -> None:
        """Go on with schedules; a checkpoint of what is not finite is never written."""
        self._check_loss()
        super().on_train_epoch_end()

    def validate(self, batch: Tensor) -> Bits:
        """Of every image of a batch."""
        return Bits(*(values.double().cpu() for values in Bits.of(self.network, batch)))

    def validated(self, found: list[Bits]) -> dict[str, Tensor]:
        """Means over all images."""
        means = {name: torch.cat([getattr(b, name) for b in found]).mean()[None] for name in Bits._fields}
        bpd = means.pop("bpd")
        return {"val_loss": bpd, "bpd": bpd, **{f"val/{name}": value for name, value in means.items()}}

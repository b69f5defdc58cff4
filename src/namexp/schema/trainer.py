"""The group ``trainer``: where and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from namexp.errors import UserError
from namexp.schema.fields import as_integer, is_number, shown


@dataclass
class TrainerConfig:
    """Where and how long. ``devices`` on each of ``num_nodes`` machines share every batch.

    ``max_minutes``: the length by time, in place of ``max_epochs``. ``recompute``: what a backward pass needs
    is computed again instead of kept, where a task can.
    """

    accelerator: str
    max_epochs: int
    max_steps: Any
    check_val_every_n_epoch: int
    limit_train_batches: Any
    log_every_n_steps: int
    gradient_clip_norm: Any
    precision: str
    deterministic: bool
    threads: Any
    devices: int = 1
    num_nodes: int = 1
    cuda_graph: bool = True
    recompute: bool = False
    max_minutes: Any = None

    @property
    def graphs(self) -> bool:
        """Whether a GPU replays its steps: several processes talk to each other in the midst of one."""
        return self.cuda_graph and self.precision == "32" and self.world_size == 1

    @property
    def world_size(self) -> int:
        """Processes of the training, one per device."""
        return self.devices * self.num_nodes

    def check_shares(self, batch_size: int) -> None:
        """Every process must get as much of a batch.

        Raises:
            UserError: the batch cannot be shared so.
        """
        if batch_size % self.world_size:
            raise UserError(
                f"data.batch_size (= {batch_size}) is that of all processes together and must be "
                f"a multiple of trainer.devices x trainer.num_nodes (= {self.world_size})."
            )

    def __post_init__(self) -> None:
        """Ranges and names."""
        if self.accelerator not in ("cpu", "gpu"):
            raise UserError(f"trainer.accelerator (= {shown(self.accelerator)}) must be cpu or gpu.")
        if self.precision not in ("32", "64", "bf16-mixed", "16-mixed"):
            raise UserError(
                f"trainer.precision (= {shown(self.precision)}) must be one of '32', '64', "
                "'bf16-mixed', '16-mixed'."
            )
        if self.precision == "16-mixed" and self.accelerator == "cpu":
            raise UserError("trainer.precision (= 16-mixed) needs a GPU; use bf16-mixed or 32 on a CPU.")
        for name in ("max_epochs", "check_val_every_n_epoch", "log_every_n_steps", "devices", "num_nodes"):
            as_integer(getattr(self, name), f"trainer.{name}", minimum=1)
        for name in ("max_steps", "threads", "limit_train_batches"):
            value = getattr(self, name)
            if value is not None:
                setattr(self, name, as_integer(value, f"trainer.{name}", minimum=1))
        self._check_minutes()
        clip = self.gradient_clip_norm
        if clip is not None and (not is_number(clip) or clip <= 0):
            raise UserError(f"trainer.gradient_clip_norm (= {shown(clip)}) must be above 0 or null.")

    def _check_minutes(self) -> None:
        minutes = self.max_minutes
        if minutes is None:
            return
        if not is_number(minutes) or not minutes > 0:
            raise UserError(f"trainer.max_minutes (= {shown(minutes)}) must be above 0 or null.")
        if self.max_steps is not None:
            raise UserError(
                f"trainer.max_minutes (= {minutes:g}) and trainer.max_steps (= {self.max_steps}) both say "
                "when to end; leave one of them out."
            )

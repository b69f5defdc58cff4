"""How Lightning trains with several processes: those that there are, never more of its own."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from lightning_fabric.plugins.environments import ClusterEnvironment
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning.strategies import DDPStrategy

from namexp.engine.module import TaskModule
from namexp.errors import UserError
from namexp.ranks.place import Place, launched_place
from namexp.ranks.shared import agreed
from namexp.ranks.team import TIMEOUT
from namexp.schema.trainer import TrainerConfig

T = TypeVar("T")


def backend_of(trainer: TrainerConfig) -> str:
    """What the processes talk through."""
    return "nccl" if trainer.accelerator == "gpu" else "gloo"


def check_processes(trainer: TrainerConfig) -> None:
    """The processes and devices that are asked for must be there.

    Raises:
        UserError: they are not.
    """
    found = torch.cuda.device_count() if torch.cuda.is_available() else 1  # MPS is one
    if trainer.accelerator == "gpu" and trainer.devices > found:
        raise UserError(
            f"trainer.devices (= {trainer.devices}): torch finds {found} GPU{'s' * (found != 1)} on this "
            f"machine; use trainer.devices={found}, or trainer.accelerator=cpu."
        )
    launched = launched_place()
    if launched is not None and launched.world_size != trainer.world_size:
        raise UserError(
            f"{launched.world_size} processes were started, by torchrun or srun, and trainer.devices x "
            f"trainer.num_nodes = {trainer.devices} x {trainer.num_nodes}; make them equal (trainer=ddp), or "
            "start one process."
        )
    if launched is None and trainer.num_nodes > 1:
        raise UserError(
            f"trainer.num_nodes (= {trainer.num_nodes}): on several machines start one process per device "
            "with torchrun or srun; namexp starts them on one machine only."
        )


def ddp_arguments(place: Place, trainer: TrainerConfig, module: TaskModule) -> dict[str, Any]:
    """Lightning's Trainer arguments for training together, or alone."""
    if place.world_size == 1:
        return {"devices": 1, "plugins": [StreamedCheckpoints()]}
    strategy = PlainDDPStrategy(
        process_group_backend=backend_of(trainer),
        timeout=TIMEOUT,
        find_unused_parameters=module.idle_parameters(),
    )
    return {
        "devices": trainer.devices,
        "num_nodes": trainer.num_nodes,
        "strategy": strategy,
        "plugins": [Placed(place, trainer.devices), StreamedCheckpoints()],
    }


class PlainDDPStrategy(DDPStrategy):
    """Lightning's own decisions travel as plain values too: its broadcast would pickle them."""

    def broadcast(self, obj: T, src: int = 0) -> T:
        """What the first process has."""
        assert src == 0, "the first process decides"
        return agreed(lambda: obj)


class StreamedCheckpoints(TorchCheckpointIO):
    """Writes a checkpoint as it goes: Lightning puts all of it together in memory before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Into the file, which its writer renames when it is whole."""
        del storage_options
        with open(path, "wb") as file:
            torch.save(checkpoint, file)


class Placed(ClusterEnvironment):
    """Tells Lightning that every process is there already."""

    def __init__(self, place: Place, devices: int) -> None:
        super().__init__()
        self._place, self._devices = place, devices

    @property
    def creates_processes_externally(self) -> bool:
        """Lightning starts none."""
        return True

    @property
    def main_address(self) -> str:
        """Host of the first process."""
        return self._place.address

    @property
    def main_port(self) -> int:
        """Where they have met."""
        return self._place.port

    @staticmethod
    def detect() -> bool:
        """Never found by Lightning: it is given."""
        return False

    def world_size(self) -> int:
        """Of all nodes."""
        return self._place.world_size

    def set_world_size(self, size: int) -> None:
        """Fixed."""
        assert size == self._place.world_size, f"{size} processes, started were {self._place.world_size}"

    def global_rank(self) -> int:
        """Of this process."""
        return self._place.rank

    def set_global_rank(self, rank: int) -> None:
        """Fixed."""
        assert rank == self._place.rank, f"rank {rank} was started as {self._place.rank}"

    def local_rank(self) -> int:
        """On this node."""
        return self._place.local_rank

    def node_rank(self) -> int:
        """Of this node."""
        return self._place.rank // self._devices

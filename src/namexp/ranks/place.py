"""Which process of a training this one is. Knows no torch: every command asks at its start."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from namexp.errors import UserError

MEETING = "NAMEXP_MEETING"  # the variable that names the folder of ``Place.meeting``
SLURM_PORTS = range(15000, 25000)  # where a job meets unless MASTER_PORT says otherwise


@dataclass(frozen=True)
class Place:
    """One process among those of a training.

    Attributes:
        rank: from 0; the first process decides, writes and prints.
        world_size: how many processes there are, on all nodes.
        local_rank: from 0 on each node; the number of its GPU.
        address: where the processes meet: host of the first one.
        port: TCP port there.
        meeting: a folder that only its owner may enter, where the processes meet instead: all are on this
            machine, and no port asks who comes.
    """

    rank: int
    world_size: int
    local_rank: int
    address: str
    port: int
    meeting: str | None = None

    def environment(self) -> dict[str, str]:
        """The variables, torchrun's, from which ``launched_place`` reads it again."""
        return {
            "RANK": str(self.rank), "WORLD_SIZE": str(self.world_size),
            "LOCAL_RANK": str(self.local_rank), "MASTER_ADDR": self.address, "MASTER_PORT": str(self.port),
            **({} if self.meeting is None else {MEETING: self.meeting}),
        }  # fmt: skip


ALONE = Place(0, 1, 0, "127.0.0.1", 0)


def launched_place(environment: Mapping[str, str] | None = None) -> Place | None:
    """The place that torchrun or srun gave this process; None where neither started several.

    Args:
        environment: variables; None for those of the process.

    Raises:
        UserError: variables of torchrun are missing or not numbers.
    """
    variables = os.environ if environment is None else environment
    if "RANK" in variables and variables.get("WORLD_SIZE", "1") != "1":
        return _from_torchrun(variables)
    # SLURM_NTASKS would be there in a batch script too, which is one process
    if "SLURM_PROCID" in variables and _number(variables, "SLURM_STEP_NUM_TASKS", "1") > 1:
        return _from_slurm(variables)
    return None


def _from_torchrun(variables: Mapping[str, str]) -> Place:
    return Place(
        rank=_number(variables, "RANK"),
        world_size=_number(variables, "WORLD_SIZE"),
        local_rank=_number(variables, "LOCAL_RANK"),
        address=variables.get("MASTER_ADDR", "127.0.0.1"),
        port=_number(variables, "MASTER_PORT"),
        meeting=variables.get(MEETING),
    )


def _from_slurm(variables: Mapping[str, str]) -> Place:
    job = _number(variables, "SLURM_JOB_ID", "0") + _number(variables, "SLURM_STEP_ID", "0")
    port = SLURM_PORTS[job % len(SLURM_PORTS)]
    return Place(
        rank=_number(variables, "SLURM_PROCID"),
        world_size=_number(variables, "SLURM_STEP_NUM_TASKS"),
        local_rank=_number(variables, "SLURM_LOCALID"),
        address=variables.get("MASTER_ADDR") or _first_host(variables.get("SLURM_STEP_NODELIST", "")),
        port=_number(variables, "MASTER_PORT", str(port)),
    )


def _first_host(nodes: str) -> str:
    """``node[03-07,12],other`` to ``node03``."""
    found = re.match(r"([^\[,]+)(?:\[(\d+))?", nodes)
    return "".join(part or "" for part in found.groups()) if found else "127.0.0.1"


def _number(variables: Mapping[str, str], name: str, default: str | None = None) -> int:
    value = variables.get(name, default)
    if value is None or not value.isdecimal():
        raise UserError(
            f"the environment variable {name} (= {value}) must be a number where WORLD_SIZE or srun says "
            "that several processes were started; start with torchrun or srun, or unset WORLD_SIZE."
        )
    return int(value)

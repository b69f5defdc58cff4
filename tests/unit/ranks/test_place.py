"""What torchrun and srun say in the environment, and what they do not."""

from __future__ import annotations

import pytest

from namexp.errors import UserError
from namexp.ranks.place import Place, launched_place

SLURM = {
    "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "4", "SLURM_JOB_ID": "70001",
    "SLURM_STEP_ID": "2", "SLURM_STEP_NODELIST": "gpu[07-08,11]",
}  # fmt: skip


def test_a_place_reads_what_it_wrote() -> None:
    place = Place(rank=3, world_size=4, local_rank=1, address="somewhere", port=2345)
    assert launched_place(place.environment()) == place


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"RANK": "0", "WORLD_SIZE": "1"},
        {"WORLD_SIZE": "8"},
        {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"},  # a batch script: one process
        {**SLURM, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"},
    ],
    ids=str,
)
def test_one_process_is_no_place(environment: dict[str, str]) -> None:
    assert launched_place(environment) is None


def test_srun() -> None:
    place = launched_place(SLURM)
    assert place == Place(rank=3, world_size=4, local_rank=1, address="gpu07", port=15003)
    assert launched_place({**SLURM, "MASTER_ADDR": "other", "MASTER_PORT": "99"}) == Place(
        3, 4, 1, "other", 99
    )


@pytest.mark.parametrize(
    ("nodes", "host"),
    [("node5", "node5"), ("a1,b2", "a1"), ("n[3,5-6]", "n3"), ("gpu-a-[001-004]", "gpu-a-001")],
)
def test_the_first_host_of_a_list(nodes: str, host: str) -> None:
    place = launched_place({**SLURM, "SLURM_STEP_NODELIST": nodes})
    assert place is not None
    assert place.address == host


def test_all_processes_of_a_step_meet_at_one_port_and_steps_at_different_ones() -> None:
    ports = {step: set[int]() for step in "123"}
    for step, found in ports.items():
        for rank in "0123":
            place = launched_place({**SLURM, "SLURM_STEP_ID": step, "SLURM_PROCID": rank})
            assert place is not None
            found.add(place.port)
    assert [len(found) for found in ports.values()] == [1, 1, 1]
    assert len(set.union(*ports.values())) == 3


def test_half_a_torchrun_is_refused() -> None:
    with pytest.raises(UserError, match=r"LOCAL_RANK \(= None\) must be a number .* unset WORLD_SIZE"):
        launched_place({"RANK": "0", "WORLD_SIZE": "2"})

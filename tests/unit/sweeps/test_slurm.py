"""What a sweep on Slurm waits for is said, by what squeue answers: here a script that answers for it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from namexp.sweeps import slurm
from namexp.sweeps.slurm import Queued, Teller, UnansweredError, in_words, queue_of, why_never

Answer = Callable[..., Path]


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Put a squeue on PATH that answers so; returns where it notes what it was asked."""
    asked = tmp_path / "asked"

    def put(text: str, status: int = 0, complaint: str = "") -> Path:
        (tmp_path / "text").write_text(text)
        script = tmp_path / "squeue"
        script.write_text(
            f'#!/bin/sh\necho "$@" >> {asked}\ncat {tmp_path / "text"}\n'
            f'echo "{complaint}" >&2\nexit {status}\n'
        )
        script.chmod(0o755)
        return asked

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return put


def test_squeue_is_asked_for_every_element_of_every_array(answer: Answer) -> None:
    asked = answer("12_0|RUNNING|None\n12_1|PENDING|Resources\n13|COMPLETED|None\n")
    assert queue_of(["12", "13"]) == [
        Queued("12_0", "RUNNING", "None"),
        Queued("12_1", "PENDING", "Resources"),
        Queued("13", "COMPLETED", "None"),
    ]
    words = asked.read_text().split()
    assert "--jobs=12,13" in words
    assert {"--array", "--states=all", "--noheader"} <= set(words)


def test_a_job_that_slurm_has_forgotten_is_no_complaint(answer: Answer) -> None:
    answer("", 1, "slurm_load_jobs error: Invalid job id specified")
    assert queue_of(["12"]) == []


def test_a_slurm_that_does_not_answer_is_one(answer: Answer) -> None:
    answer("", 1, "slurm_load_jobs error: Unable to contact slurm controller")
    with pytest.raises(UnansweredError, match="Unable to contact slurm controller"):
        queue_of(["12"])


def test_a_machine_without_squeue_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnansweredError, match="squeue"):
        queue_of(["12"])


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ("RUNNING/None RUNNING/None PENDING/Priority PENDING/Resources PENDING/Priority COMPLETED/None",
         "2 running, 3 pending (Priority 2, Resources 1), 1 done"),
        ("COMPLETING/None CONFIGURING/None SUSPENDED/None", "3 running"),
        ("PENDING/BeginTime PREEMPTED/None", "2 pending (BeginTime 1, None 1)"),
        ("COMPLETED/None FAILED/None TIMEOUT/TimeLimit CANCELLED/None", "1 done, 3 ended otherwise"),
        ("", "nothing is known of its jobs"),
    ],
)  # fmt: skip
def test_the_queue_in_words(states: str, words: str) -> None:
    queue = [Queued(f"7_{i}", *state.split("/")) for i, state in enumerate(states.split())]
    assert in_words(queue) == words


@pytest.mark.parametrize(
    ("reason", "hint"),
    [
        ("PartitionConfig", "hydra.launcher.cpus_per_task"),
        ("PartitionNodeLimit", "hydra.launcher.cpus_per_task"),
        ("PartitionTimeLimit", "hydra.launcher.timeout_min"),
        ("PartitionDown", "hydra.launcher.partition"),
        ("BadConstraints", "hydra.launcher.constraint"),
        ("ReqNodeNotAvail", "down or reserved"),
        ("ReqNodeNotAvail, UnavailableNodes:node[1-3]", "down or reserved"),
        ("ReqNodeNotAvail, May be reserved for other job", "down or reserved"),
        ("InvalidAccount", "hydra.launcher.account"),
        ("InvalidQOS", "hydra.launcher.qos"),
        ("QOSMaxCpuPerJobLimit", "hydra.launcher"),
        ("AssocMaxWallDurationPerJobLimit", "hydra.launcher"),
        ("JobHeldUser", "scontrol release"),
        ("launch failed requeued held", "scontrol release"),
        ("DependencyNeverSatisfied", "depends"),
    ],
)
def test_a_job_that_waits_in_vain_is_known_by_its_reason(reason: str, hint: str) -> None:
    assert hint in (why_never(Queued("12_0", "PENDING", reason)) or "")
    assert why_never(Queued("12_0", "RUNNING", reason)) is None


@pytest.mark.parametrize(
    "reason", ["Resources", "Priority", "BeginTime", "None", "JobArrayTaskLimit", "Dependency", "Licenses",
               "QOSMaxJobsPerUserLimit", "AssocGrpCpuLimit", "Reservation"],
)  # fmt: skip
def test_a_job_whose_turn_comes_is_not(reason: str) -> None:
    assert why_never(Queued("12_0", "PENDING", reason)) is None


def test_each_thing_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    teller = Teller()
    waiting = [Queued(f"12_{i}", "PENDING", "PartitionConfig") for i in range(10)]
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            teller.tell(waiting)
        teller.tell([*waiting[:9], Queued("12_9", "RUNNING", "None")])
        teller.tell([*waiting[:9], Queued("12_9", "RUNNING", "None")])
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]
    first, never, second = caplog.messages
    assert first == "slurm: 10 pending (PartitionConfig 10)"
    assert never.startswith(
        "slurm: jobs 12_0, 12_1, 12_2, 12_3, 12_4, 12_5, 12_6, 12_7 and 2 more can never start "
        "(PartitionConfig): "
    )
    assert "scancel 12," in never
    assert second == "slurm: 1 running, 9 pending (PartitionConfig 9)"


def test_silence_of_slurm_is_told_once_and_again_after_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    teller = Teller()
    for _ in range(2):
        teller.unanswered("no route")
    teller.tell([Queued("1", "RUNNING", "None")])
    teller.unanswered("no route")
    assert [message for message in caplog.messages if "squeue does not answer (no route)" in message] == (
        caplog.messages
    )
    assert len(caplog.messages) == 2


# --- what submitit sees ----------------------------------------------------------------------------


@pytest.fixture
def watched(answer: Answer) -> slurm.Any:
    pytest.importorskip("submitit", reason="hydra-submitit-launcher is not installed")
    found = slurm.watcher()
    for job in ("12", "12_0", "12_1"):  # submitit registers the array itself too
        found.register_job(job)
    return found


@pytest.mark.parametrize(
    ("state", "done"),
    [
        *((state, False) for state in ("PENDING", "RUNNING", "CONFIGURING", "SUSPENDED", "STAGE_OUT")),
        *((state, False) for state in ("PREEMPTED", "REQUEUED", "SPECIAL_EXIT", "COMPLETING")),
        *((state, True) for state in ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "OUT_OF_MEMORY")),
    ],
)
def test_submitit_waits_for_what_may_still_come(
    watched: slurm.Any, answer: Answer, state: str, done: bool
) -> None:
    answer(f"12_0|{state}|None\n12_1|RUNNING|None\n")
    assert watched.is_done("12_0", mode="force") is done
    assert watched.is_done("12_1", mode="cache") is False


def test_what_squeue_has_forgotten_is_over(watched: slurm.Any, answer: Answer) -> None:
    answer("12_0|RUNNING|None\n12_1|PENDING|Priority\n")
    watched.update()
    answer("12_1|PENDING|Priority\n")
    watched.update()
    assert watched.is_done("12_0", mode="cache")
    assert not watched.is_done("12_1", mode="cache")
    answer("", 1, "slurm_load_jobs error: Invalid job id specified")
    watched.update()
    assert watched.is_done("12_1", mode="cache")


def test_a_slurm_that_does_not_answer_ends_no_job(
    watched: slurm.Any, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    answer("12_0|RUNNING|None\n12_1|RUNNING|None\n")
    watched.update()
    answer("", 1, "Unable to contact slurm controller")
    for _ in range(3):
        watched.update()
    assert not watched.is_done("12_0", mode="cache")
    assert sum("does not answer" in message for message in caplog.messages) == 1
    assert not any("sacct" in message for message in caplog.messages)


def test_it_is_asked_less_and_less_often_but_every_half_minute(
    watched: slurm.Any, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answer("12_0|RUNNING|None\n12_1|RUNNING|None\n")
    begun = watched._start_time
    for second in range(0, 600):
        monkeypatch.setattr("time.time", lambda now=begun + second: now)
        watched.is_done("12_0")
    calls = len(asked.read_text().splitlines())
    assert 600 / slurm.ASKED_EVERY_SECONDS <= calls < 35

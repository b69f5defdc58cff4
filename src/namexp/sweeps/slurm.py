"""What the jobs of a sweep wait for while it waits on Slurm: as ``squeue`` says, in lines."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from namexp.errors import one_line

log = logging.getLogger(__name__)

ASKED_EVERY_SECONDS = 30  # at most; more often in the beginning
PATIENCE_SECONDS = 60  # with squeue
NAMED = 8  # jobs in a line

WAITING = {"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "PREEMPTED"}
AT_WORK = {
    "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT",
}  # fmt: skip
DONE = {"COMPLETED"}

# Reasons that no amount of waiting removes, by how squeue begins them, and what to do.
_RESOURCES = "it asks for more than any node of the partition has: look at hydra.launcher.cpus_per_task, "
_NEVER = {
    "PartitionConfig": f"{_RESOURCES}gpus_per_node, mem_gb and partition",
    "PartitionNodeLimit": f"{_RESOURCES}gpus_per_node, mem_gb, nodes and partition",
    "PartitionTimeLimit": "the partition does not let a job stay as long as hydra.launcher.timeout_min says",
    "PartitionDown": "the partition is down: choose another by hydra.launcher.partition",
    "PartitionInactive": "the partition is closed: choose another by hydra.launcher.partition",
    "BadConstraints": "no node is as it asks: look at hydra.launcher.constraint, gpus_per_node and mem_gb",
    "ReqNodeNotAvail": "the nodes that it needs are down or reserved",
    "NodeDown": "the node that it needs is down",
    "InvalidAccount": "there is no such account: look at hydra.launcher.account",
    "AccountNotAllowed": "the partition does not take this account: look at hydra.launcher.account",
    "InvalidQOS": "there is no such quality of service: look at hydra.launcher.qos",
    "QOSNotAllowed": "the partition does not take this quality of service: look at hydra.launcher.qos",
    "DependencyNeverSatisfied": "it depends on a job that has failed",
    "JobHeldAdmin": "an administrator holds it",
    "JobHeldUser": "it is held; let it go by scontrol release",
    "launch failed": "it could not be started on its node; let it go by scontrol release",
}  # fmt: skip
_NEVER_FOR_ONE_JOB = re.compile(r"(QOS|Assoc)(Max|Grp|Min)\w*(PerJob|NotSatisfied)")


class Queued(NamedTuple):
    """A job as squeue shows it: ``12_3``, ``PENDING``, ``Resources``."""

    job: str
    state: str
    reason: str


class UnansweredError(Exception):
    """Squeue says nothing; why."""


def queue_of(jobs: Sequence[str]) -> list[Queued]:
    """What squeue says of jobs and of their arrays' elements; those that are over may be missing.

    Raises:
        UnansweredError: it cannot be asked, or Slurm does not answer it.
    """
    command = [
        "squeue",
        "--noheader",
        "--array",
        "--states=all",
        "--format=%i|%T|%r",
        f"--jobs={','.join(jobs)}",
    ]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnansweredError(one_line(error)) from None
    if answer.returncode and "Invalid job id" not in answer.stderr:  # it is over, and forgotten
        raise UnansweredError(" ".join(answer.stderr.split()) or f"status {answer.returncode}")
    lines = (line.split("|", 2) for line in answer.stdout.splitlines() if line.count("|") >= 2)
    return [Queued(job.strip(), state.strip().upper(), reason.strip()) for job, state, reason in lines]


def in_words(queue: Sequence[Queued]) -> str:
    """``2 running, 3 pending (Resources 1, Priority 2), 1 done``."""
    reasons = Counter(job.reason for job in queue if job.state in WAITING)
    why = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
    counts = {
        "running": sum(job.state in AT_WORK for job in queue),
        "pending": sum(reasons.values()),
        "done": sum(job.state in DONE for job in queue),
        "ended otherwise": sum(job.state not in WAITING | AT_WORK | DONE for job in queue),
    }
    said = [
        f"{count} {name}" + (f" ({why})" if name == "pending" else "")
        for name, count in counts.items()
        if count
    ]
    return ", ".join(said) or "nothing is known of its jobs"


def why_never(queued: Queued) -> str | None:
    """Why a job that waits waits in vain, and what to do; None: it may start yet."""
    if queued.state not in WAITING:
        return None
    if _NEVER_FOR_ONE_JOB.match(queued.reason):
        return "one job may not have as much as it asks for: look at hydra.launcher's settings"
    return next((text for begin, text in _NEVER.items() if queued.reason.startswith(begin)), None)


class Teller:
    """Says what has changed, each thing once."""

    def __init__(self) -> None:
        self._said = ""
        self._hopeless: set[tuple[str, str]] = set()
        self._unanswered = ""

    def tell(self, queue: Sequence[Queued]) -> None:
        """Log how many jobs do what, if that is news, and name those that can never start."""
        self._unanswered = ""
        words = in_words(queue)
        if words != self._said:
            self._said = words
            log.info("slurm: %s", words)
        news: dict[tuple[str, str], list[str]] = {}
        for job in queue:
            why = why_never(job)
            if why is not None and (job.job, job.reason) not in self._hopeless:
                self._hopeless.add((job.job, job.reason))
                news.setdefault((job.reason, why), []).append(job.job)
        for (reason, why), jobs in news.items():
            log.warning(
                "slurm: %s can never start (%s): %s. Ctrl-C, scancel %s, and go on by namexp.sweep resume "
                "with other settings of hydra.launcher", _named(jobs), reason, why, jobs[0].split("_")[0],
            )  # fmt: skip

    def unanswered(self, why: str) -> None:
        """Log that nothing is known, once."""
        if why != self._unanswered:
            self._unanswered = why
            log.warning(
                "slurm: squeue does not answer (%s); what the jobs do is not known until it does", why
            )


def _named(jobs: Sequence[str]) -> str:
    more = f" and {len(jobs) - NAMED} more" if len(jobs) > NAMED else ""
    return f"{'job' if len(jobs) == 1 else 'jobs'} {', '.join(jobs[:NAMED])}{more}"


class _Watched(ABC):
    """What ``watcher`` makes."""

    @abstractmethod
    def all_over(self) -> bool:
        """Whether no job that was seen in the queue may still end otherwise."""


def watcher() -> Any:
    """What submitit asks about its jobs, by squeue in place of sacct, which few small clusters have.

    A job that squeue has forgotten is over: one that ended without a result would be waited for for ever.
    """
    from submitit.slurm.slurm import SlurmInfoWatcher

    class SqueueWatcher(SlurmInfoWatcher, _Watched):
        def __init__(self) -> None:
            super().__init__(delay_s=ASKED_EVERY_SECONDS)
            self._teller = Teller()
            self._seen: set[str] = set()

        def update(self) -> None:
            self._num_calls += 1
            self._last_status_check = time.time()
            mains = sorted({job.split("_")[0] for job in self._registered - self._finished})
            if not mains:
                return
            try:
                queue = queue_of(mains)
            except UnansweredError as error:
                self._teller.unanswered(str(error))
                return
            told = {job.job: job for job in queue}
            over = self._seen - set(told)
            known = [*queue, *(Queued(job, "COMPLETED", "") for job in sorted(over))]
            self._seen |= set(told)
            for job in known:
                self._info_dict[job.job] = {"State": _for_submitit(job.state)}
            self._teller.tell(known)
            self._finished |= {job for job in self._registered if self.is_done(job, mode="cache")}

        def all_over(self) -> bool:
            return all([self.is_done(job) for job in sorted(self._seen)])

    return SqueueWatcher()


def wait_for_others() -> None:
    """Wait until every job of a sweep on Slurm is over; of another sweep nothing is waited for.

    The launcher gives up at the first job that was killed, and the others are still at work.
    """
    submitit = sys.modules.get("submitit")
    own = submitit.SlurmJob.watcher if submitit is not None else None
    if isinstance(own, _Watched):
        while not own.all_over():
            time.sleep(1)


def _for_submitit(state: str) -> str:
    """One of the states that submitit waits for, or the one that ends it."""
    return "PENDING" if state in WAITING else "RUNNING" if state in AT_WORK else state


def tell_what_is_waited_for() -> None:
    """From now on a sweep that waits on Slurm says what for."""
    from submitit import SlurmJob

    SlurmJob.watcher = watcher()

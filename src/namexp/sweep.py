"""``python -m namexp.sweep status|resume SWEEP``: what has become of a multirun, and the rest of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from namexp.door import FAILED, OK, guarded
from namexp.errors import UserError
from namexp.runs.states import DONE
from namexp.sweeps.directory import SweepLayout, job_table, read_jobs
from namexp.sweeps.resume import resume


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.sweep",
        description="status: the state of every job. resume: run what is missing, continue what was cut "
        "off, try again what failed (but for the trials of a search); what is done stays as it is.",
    )
    parser.add_argument("action", choices=["status", "resume"])
    parser.add_argument("sweep", type=Path, metavar="SWEEP")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="HYDRA_OVERRIDE",
        help="with resume: such as hydra/launcher=joblib; of Hydra only, never of the experiment",
    )
    return parser.parse_args()


def _run(arguments: argparse.Namespace) -> int:
    sweep = SweepLayout(arguments.sweep)
    for override in arguments.overrides:
        if not override.startswith(("hydra.", "hydra/")) or arguments.action == "status":
            raise UserError(
                f"{override}: a sweep is resumed with the settings that it was started with; only those of "
                "hydra may be given anew, such as hydra/launcher=joblib."
            )
    if arguments.action == "resume":
        return resume(sweep, arguments.overrides)
    jobs = read_jobs(sweep)
    print(job_table(jobs))
    return OK if all(job.state == DONE for job in jobs) else FAILED


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.sweep", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())

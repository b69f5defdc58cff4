"""``python -m namexp.sweep status|resume SWEEP``: what has become of a multirun, and the rest of it."""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from pathlib import Path

from namexp.door import FAILED, OK, guarded
from namexp.errors import UserError
from namexp.sweeps.directory import DONE, SweepLayout, job_table, read_jobs, read_record


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
        return _resume(sweep, arguments.overrides)
    jobs = read_jobs(sweep)
    print(job_table(jobs))
    return OK if all(job.state == DONE for job in jobs) else FAILED


def _resume(sweep: SweepLayout, overrides: list[str]) -> int:
    """Start the same sweep in the same directory: each job finds what it has done already."""
    record = read_record(sweep)
    if not Path(record["cwd"]).is_dir():
        raise UserError(
            f"{sweep.root}: was started in {record['cwd']}, which is no more; its files may be named "
            "relative to it, so make it again or start a new sweep."
        )
    root = str(sweep.root.resolve()).replace("\\", "\\\\").replace("'", "\\'")
    hydra = [override for override in record["hydra"] if not override.startswith("hydra.sweep.dir=")]
    for group in ("launcher", "sweeper"):
        if any(override.startswith(f"hydra/{group}=") for override in overrides):
            old = (f"hydra/{group}=", f"hydra.{group}.")  # another one has other settings
            hydra = [override for override in hydra if not override.startswith(old)]
    command = [*hydra, *overrides, f"hydra.sweep.dir='{root}'", *record["task"], "resume=auto"]
    return _run_command(["-m", *record["flags"], *command], record["cwd"])


def _run_command(arguments: list[str], cwd: str) -> int:
    """Run namexp.train and wait; Ctrl-C and SIGTERM are for it to answer."""
    process = subprocess.Popen([sys.executable, "-m", "namexp.train", *arguments], cwd=cwd)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to both
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.sweep", lambda: _run(arguments))


if __name__ == "__main__":
    sys.exit(main())

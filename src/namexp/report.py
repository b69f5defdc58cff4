"""``python -m namexp.report PATHS… [-o DIR]``: runs, and logs of other programs, on one HTML page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from namexp.door import guarded, shown


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.report",
        description="Compare runs: a table, charts, learning curves, sound, repeated seeds, what is wrong "
        "with them and the command that repeats each run, in one page (report.html, with report.csv and "
        "report.json beside it). Runs that failed, were interrupted, are at work or were never begun are "
        "listed too.",
    )
    parser.add_argument(
        "paths",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="a run directory, one that holds some below it, or another program's log, a .csv with a row an "
        "epoch (epoch, total_loss, loss_gen1, ..., val_loss_mel)",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="where the files go (default: the first PATH that is a directory)",
    )
    return parser.parse_args()


def _report(arguments: argparse.Namespace) -> None:
    from namexp.comparison.page import write_report

    print(f"report  {shown(write_report(arguments.paths, arguments.output))}")


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.report", lambda: _report(arguments))


if __name__ == "__main__":
    sys.exit(main())

"""Create the W&B workspace of a sweep: learning curves, ESR against cost, sound and pictures.

python scripts/dashboard.py --entity ME outputs/multirun/2026-11-21/12-00-00-000000
python scripts/dashboard.py --entity ME --project namexp --group plexi --submodels 2
python scripts/dashboard.py --entity ME --project namexp --group plexi --submodels 2 --dry-run
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from namexp.door import guarded
from namexp.errors import UserError


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, help="run or sweep directory: tells group and submodels"
    )
    parser.add_argument("--entity", help="user or team; else that of the run, else WANDB_ENTITY")
    parser.add_argument("--project", help="else that of the run, else namexp")
    parser.add_argument("--group", help="of the runs: logger.group, or the name of the sweep directory")
    parser.add_argument("--submodels", type=int, help="of the packs; 0 for models with one size")
    parser.add_argument("--dry-run", action="store_true", help="print the specification; no account needed")
    return parser.parse_args()


def _create() -> None:
    given = _arguments()
    from namexp.tracking import dashboard  # takes a second: wandb

    if (given.folder is None) == (given.submodels is None):
        raise UserError("give either a run or sweep directory or --submodels N.")
    if given.folder is not None:
        runs = dashboard.runs_in(given.folder)
    else:
        runs = dashboard.Runs(None, None, None, dashboard.packed_suffixes(given.submodels) or ("",))
    entity = given.entity or runs.entity or os.environ.get("WANDB_ENTITY")
    if entity is None and given.dry_run:
        entity = "ENTITY"
    if entity is None:
        raise UserError("--entity is missing: the W&B user or team; or set WANDB_ENTITY.")
    workspace = dashboard.build_workspace(
        entity=entity,
        project=given.project or runs.project or "namexp",
        group=given.group or runs.group,
        suffixes=runs.suffixes,
        metrics=runs.metrics,
        costs=runs.costs,
    )
    if given.dry_run:
        print(json.dumps(dashboard.specification(workspace), indent=2))
    else:
        print(dashboard.save(workspace))


if __name__ == "__main__":
    sys.exit(guarded("dashboard", _create))

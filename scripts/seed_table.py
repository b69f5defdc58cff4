"""Print the headline (of amps the ESR) of every submodel over several runs of one experiment, and the mean.

for s in 0 1 2; do python -m namexp.train seed=$s hydra.run.dir=outputs/seeds/$s; done
python scripts/seed_table.py outputs/seeds/*
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean

from namexp.runs.files import read_json
from namexp.runs.summaries import metrics_of


def main() -> None:
    """Read summary.json of every run directory on the command line."""
    if len(sys.argv) < 2:
        sys.exit("usage: python scripts/seed_table.py RUN ...")
    summaries = [read_json(Path(argument) / "summary.json") for argument in sys.argv[1:]]
    names = [s["name"] for s in summaries[0]["submodels"]]
    if any([s["name"] for s in summary["submodels"]] != names for summary in summaries):
        sys.exit("the runs have different submodels")
    (metric, *_) = metrics_of(summaries[0])
    seeds = "  ".join(f"seed {summary['seed']}".rjust(8) for summary in summaries)
    print(f"{'submodel':20}  {seeds}      mean  ({metric.name})")
    for i, name in enumerate(names):
        values = [summary["submodels"][i][metric.name] for summary in summaries]
        print(f"{name:20}  " + "  ".join(f"{v:8.5f}" for v in values) + f"  {mean(values):8.5f}")
    seconds = [summary["seconds_training"] for summary in summaries]
    print(f"{'seconds of training':20}  " + "  ".join(f"{s:8.0f}" for s in seconds))


if __name__ == "__main__":
    main()

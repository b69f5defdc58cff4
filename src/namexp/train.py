"""``python -m namexp.train [overrides]``: one experiment; ``-m`` for a sweep."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from namexp.conf_dir import conf_dir
from namexp.door import guarded
from namexp.errors import UserError, one_line
from namexp.ranks.place import Place, launched_place
from namexp.runs.entry import record_failure
from namexp.runs.layout import RunLayout
from namexp.schema.composition import explain
from namexp.schema.experiment import parse_experiment, resolved_config

_failure: BaseException | None = None


@hydra.main(version_base="1.3", config_path=conf_dir(), config_name="train")
def _job(cfg: DictConfig) -> None:
    """One training. In a sweep exceptions go on to Hydra; alone they wait for ``main``."""
    global _failure
    run_dir = Path(HydraConfig.get().runtime.output_dir)
    try:
        _train(cfg, run_dir)
    except (Exception, KeyboardInterrupt) as error:
        record_failure(RunLayout(run_dir), error)
        with (run_dir / "train.log").open("a", encoding="utf-8") as log:
            traceback.print_exception(error, file=log)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            raise
        _failure = error  # Hydra would print more than one line


def _train(cfg: DictConfig, run_dir: Path) -> None:
    config = parse_experiment(cfg)  # before torch is imported
    from namexp import experiment

    result = experiment.run(config, resolved_config(cfg), run_dir)
    print(_table(result.summary["submodels"]))
    print(f"model    {_shown(result.run.nam)}")
    if config.callbacks.plots:
        print(f"picture  {_shown(result.run.comparison)}")
    if result.interrupted:
        raise KeyboardInterrupt


def _shown(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _table(submodels: list[dict[str, Any]]) -> str:
    """The outcome, a line for each submodel."""
    rows = [("submodel", "channels", "parameters", "MACs/sample", "ESR", "MRSTFT")]
    for s in submodels:
        channels = s["channels"] if isinstance(s["channels"], list) else [s["channels"]]
        rows.append(
            (
                s["name"], "/".join(map(str, channels)), str(s["parameters"]),
                str(s["macs_per_sample"]), f"{s['ESR']:.5f}", f"{s['MRSTFT']:.4f}",
            )
        )  # fmt: skip
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n" + "\n".join(lines) + "\n"


def _run_hydra() -> None:
    # Otherwise Hydra prints a traceback of its own and exits
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        _job()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain(error, sys.argv[1:], conf_dir()) from None
    except ValueError as error:
        if not str(error).startswith("Config group override"):  # Hydra's answer to model=null
            raise
        raise UserError(f"a group cannot be null, choose one of its options: {one_line(error)}") from None
    if _failure is not None:
        raise _failure


def _launched(place: Place) -> int | None:
    """One of the processes that torchrun or srun has started: the first decides for all."""
    if place.rank > 0:
        from namexp.follow import follow

        return follow(place)
    try:
        if {"-m", "--multirun"} & set(sys.argv):
            raise UserError(
                "-m (a sweep) cannot run inside torchrun or srun, which start processes for one training; "
                "start it without them: with trainer=ddp every job starts its own."
            )
        _run_hydra()
    finally:
        from namexp.ranks.team import release_launched

        release_launched(place)
    return None


def _run() -> int | None:
    place = launched_place()
    if place is not None:
        return _launched(place)
    _run_hydra()
    return None


def main() -> int:
    """The command."""
    return guarded("namexp.train", _run)


if __name__ == "__main__":
    sys.exit(main())

"""Which recipe learns most of an amp at equal cost? Trainings of every amp, recipe and seed, and a table.

python scripts/study_recipes.py OUT                  # our own amps and the embedded recording, 20 epochs
python scripts/study_recipes.py OUT --recording a2 in.wav a2.wav --recording a1 in.wav a1.wav data.delay=137
python scripts/study_recipes.py OUT --epochs 5 20 --models packed_wavenet wavenet --recipes peer soap

What is done already is read, not trained again: a study can be cut off and extended. Every training lies in
OUT/MODEL/EPOCHS/AMP/RECIPE/SEED; python -m namexp.report OUT compares them on one page.
"""

from __future__ import annotations

import argparse
import math
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from recipes.amps import EMBEDDED, TO_VALIDATE, Amp, own_amps, recorded
from tqdm import tqdm

from namexp.runs.files import read_json

SOAP = ("optimizer=soap", "scheduler=warmup_cosine", "data.batch_size=4")
RECIPES: dict[str, tuple[str, ...]] = {
    "peer": ("PEER",),
    "adam_cosine": ("optimizer=adam", "optimizer.lr=0.008", "scheduler=warmup_cosine", "data.batch_size=4"),
    "soap": (*SOAP, "model.weight_init=torch"),
    "soap_variance": (*SOAP, "model.weight_init=variance"),
    "soap_long_windows": (
        *SOAP, "model.weight_init=variance", "data.ny=16384", "data.batch_size=2",
    ),  # as many samples a step, a fifth fewer of them computed twice
    "soap_batch_2": (*SOAP, "model.weight_init=torch", "data.batch_size=2"),
    "soap_higher_rate": (*SOAP, "model.weight_init=torch", "optimizer.lr=0.012"),
    "soap_longer_memory": (*SOAP, "model.weight_init=torch", "optimizer.options.betas=[0.95,0.98]"),
    "soap_turned_twice": (*SOAP, "model.weight_init=torch", "optimizer.options.precondition_frequency=5"),
    "default": (),
}  # fmt: skip
PEER = {
    "packed_wavenet": "experiment=peer_a2",
    "wavenet": "experiment=peer_a1",
    "slimmable": "experiment=peer_slimmable",
}
QUIET = ("trainer.threads=1", "callbacks=quiet", "callbacks.report=false", "logger=none")


class Job(NamedTuple):
    """One training."""

    model: str
    epochs: int
    amp: Amp
    recipe: str
    seed: int

    def folder(self, out: Path) -> Path:
        """Where it lies."""
        return out / self.model / str(self.epochs) / self.amp.name / self.recipe / str(self.seed)

    def command(self, out: Path) -> list[str]:
        """The training's arguments."""
        recipe = [PEER[self.model] if word == "PEER" else word for word in RECIPES[self.recipe]]
        named = [word for word in recipe if word.startswith("experiment=")]
        model = [] if named else [f"model={self.model}"]
        return [
            sys.executable, "-m", "namexp.train", *model, *recipe, *self.amp.settings, *QUIET,
            f"trainer.max_epochs={self.epochs}", f"seed={self.seed}", "resume=auto",
            f"hydra.run.dir={self.folder(out)}",
        ]  # fmt: skip


def main() -> None:
    """Train what is missing, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--recording", nargs="+", action="append", default=[], metavar="NAME IN TARGET [SETTING]"
    )
    parser.add_argument("--amps", nargs="+", help="only these; default: all that took part in choosing")
    parser.add_argument("--models", nargs="+", default=["packed_wavenet"], choices=list(PEER))
    parser.add_argument("--recipes", nargs="+", default=["peer", "default"], choices=list(RECIPES))
    parser.add_argument("--epochs", nargs="+", type=int, default=[20])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="trainings side by side, a thread each")
    arguments = parser.parse_args()
    amps = _amps(arguments)
    jobs = [
        Job(model, epochs, amp, recipe, seed)
        for model, epochs, seed, amp, recipe in product(
            arguments.models, arguments.epochs, arguments.seeds, amps, arguments.recipes
        )
    ]
    missing = [job for job in jobs if not (job.folder(arguments.out) / "summary.json").exists()]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        done = pool.map(lambda job: _train(job, arguments.out), missing)
        for failed in tqdm(done, total=len(missing), desc="trainings"):
            if failed:
                tqdm.write(failed)
    for model, epochs in product(arguments.models, arguments.epochs):
        _print(arguments, amps, model, epochs)


def _amps(arguments: argparse.Namespace) -> list[Amp]:
    own = own_amps(arguments.out / "recordings")
    named = [
        recorded(name, Path(a).absolute(), Path(b).absolute(), *more)
        for name, a, b, *more in arguments.recording
    ]
    amps = [*named, EMBEDDED, *own]
    wanted = arguments.amps or [amp.name for amp in amps if amp.name not in TO_VALIDATE]
    unknown = {*wanted} - {amp.name for amp in amps}
    if unknown:
        sys.exit(f"no amp called {', '.join(sorted(unknown))}; there are {', '.join(a.name for a in amps)}")
    return [amp for amp in amps if amp.name in wanted]


def _train(job: Job, out: Path) -> str | None:
    """Train; what went wrong."""
    folder = job.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    ended = subprocess.run(job.command(out), capture_output=True, text=True, check=False)
    if ended.returncode:
        return f"{folder}: {ended.stderr.strip().splitlines()[-1:]}"
    return None


# --- the table ------------------------------------------------------------------------------------------


def _print(arguments: argparse.Namespace, amps: Sequence[Amp], model: str, epochs: int) -> None:
    """Per recipe each amp's mean ESR over the seeds, and the ratio to the first recipe's."""
    out, recipes = arguments.out, arguments.recipes
    print(f"\n{model}, {epochs} epochs, mean ESR over seeds {', '.join(map(str, arguments.seeds))}\n")
    print(
        "| size | recipe | "
        + " | ".join(amp.name for amp in amps)
        + " | ratio, median (least..most) | CPU s |"
    )
    print("| --- | --- |" + " ---: |" * (len(amps) + 2))
    found = {
        (amp.name, recipe): list(_summaries(out, arguments.seeds, model, epochs, amp, recipe))
        for amp, recipe in product(amps, recipes)
    }
    sizes = next((s["submodels"] for runs in found.values() for s in runs), [])
    for i, size in enumerate(sizes):
        for recipe in recipes:
            esrs = {amp.name: _mean_esr(found[amp.name, recipe], i) for amp in amps}
            ratios = [esrs[amp.name] / _mean_esr(found[amp.name, recipes[0]], i) for amp in amps]
            seconds = [
                s["cpu_seconds_training"]
                for amp in amps
                for s in found[amp.name, recipe]
                if s["cpu_seconds_training"] is not None
            ]
            print(_row(str(size["name"]), recipe, list(esrs.values()), ratios, seconds))


def _row(size: str, recipe: str, esrs: list[float], ratios: list[float], seconds: list[float]) -> str:
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    spread = f"{statistics.median(known):.3f} ({min(known):.3f}..{max(known):.3f})" if known else ""
    cost = f"{statistics.median(seconds):.0f}" if seconds else ""
    return f"| {size} | {recipe} | " + " | ".join(f"{esr:.5f}" for esr in esrs) + f" | {spread} | {cost} |"


def _summaries(
    out: Path, seeds: Sequence[int], model: str, epochs: int, amp: Amp, recipe: str
) -> Iterator[dict[str, Any]]:
    for seed in seeds:
        path = Job(model, epochs, amp, recipe, seed).folder(out) / "summary.json"
        if path.exists():
            yield read_json(path)


def _mean_esr(summaries: Sequence[dict[str, Any]], submodel: int) -> float:
    values = [float(s["submodels"][submodel]["ESR"]) for s in summaries]
    return statistics.mean(values) if values else math.nan


if __name__ == "__main__":
    main()

"""Whether two checkouts train the same numbers: ten commands recorded with each, and compared to the bit.

    git worktree add ../before HEAD~1
    python scripts/same_numbers.py record outputs/before --checkout ../before
    python scripts/same_numbers.py record outputs/after
    python scripts/same_numbers.py compare outputs/before outputs/after

Three kinds of model, each trained at once, killed and resumed, and by two processes; and a sweep over
thresholds that shares its trainings. Equal must be: everything in the checkpoints, metrics.csv,
packed_best.json, model.nam and summary.json; left out are dates, times, speeds, versions and what only one
of them writes. One CPU thread. About three minutes for each checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

SETTINGS = [
    "data.stop_seconds=7", "data.validation_seconds=1.0", "data.ny=1100", "data.batch_size=32",
    "optimizer.lr=0.01", "model.head_scale=0.1", "callbacks.progress=false", "callbacks.plots=false",
    "trainer.max_epochs=4", "trainer.log_every_n_steps=1",
    "model.layer_arrays=[{kernel_sizes: 3, dilations: [1,2,4,8], activation: LeakyReLU}]",
]  # fmt: skip
KINDS = {
    "packed": ["model=packed_wavenet_small", "model.channels=[2,4]"],
    "wavenet": ["model=wavenet_nano", "model.channels=4", "scheduler=exponential"],
    "slimmable": ["model=slimmable", "model.channels=[2,4]", "scheduler=exponential"],
}
TWO_PROCESSES = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2"]
SWEEP = ["-m", *KINDS["packed"], "export.container_max_values=uniform,[0.3,1.0]", "seed=0,1"]

# Never equal: when, how fast, with what, and where.
OTHERWISE = (
    "seconds",
    "seconds_training",
    "cpu_seconds_training",
    "realtime_factor",
    "versions",
    "git",
    "date",
    "pytorch-lightning_version",
)


# --- recording ------------------------------------------------------------------------------------


def record(folder: Path, checkout: Path) -> None:
    """Run the ten commands of ``checkout``; what they write lies in ``folder``."""
    folder.mkdir(parents=True)
    environment = {
        **os.environ, "PYTHONPATH": str(checkout.resolve() / "src"), "OMP_NUM_THREADS": "1",
        "WANDB_MODE": "offline",
    }  # fmt: skip

    def train(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "namexp.train", *arguments]
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)

    def finish(*arguments: str) -> None:
        if train(*arguments).wait():
            sys.exit(f"{checkout}: failed: namexp.train {' '.join(arguments)}")

    for kind, model in KINDS.items():
        print(f"{kind}: at once, killed and resumed, by two processes", flush=True)
        finish(*model, *SETTINGS, f"hydra.run.dir={kind}")
        run = folder / f"{kind}_resumed"
        _kill_in_the_midst(train(*model, *SETTINGS, f"hydra.run.dir={run.name}"), run / "metrics.csv")
        finish(f"resume={run.name}")
        finish(*model, *SETTINGS, *TWO_PROCESSES, f"hydra.run.dir={kind}_two")
    print("a sweep", flush=True)
    finish(*SWEEP, *SETTINGS, "hydra.sweep.dir=sweep")


def _kill_in_the_midst(process: subprocess.Popen[bytes], metrics: Path) -> None:
    """When an epoch is over and another one has begun; the first one's state is stored by then."""
    last = metrics.parent / "checkpoints" / "last.ckpt"
    while not (last.exists() and len(metrics.read_text().splitlines()) > 2 * _steps_per_epoch(metrics)):
        if process.poll() is not None:
            sys.exit(f"{metrics.parent}: ended before it could be killed")
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


def _steps_per_epoch(metrics: Path) -> int:
    return sum(line.startswith("0,") for line in metrics.read_text().splitlines())


# --- comparing ------------------------------------------------------------------------------------


def compare(one: Path, other: Path) -> list[str]:
    """What differs between two records, a line each."""
    runs = sorted(path.parent.relative_to(one) for path in one.rglob("status.json"))
    found = [f"{other}: lacks {run}" for run in runs if not (other / run / "status.json").exists()]
    for run in runs:
        for name, a, b in _contents(one / run, other / run):
            found += [f"{run}/{name}: {difference}" for difference in differences(a, b)]
    return found


def _contents(one: Path, other: Path) -> Iterator[tuple[str, Any, Any]]:
    """(name, content, content) of every file that must be equal."""
    checkpoints = [*one.glob("checkpoints/[!.]*.ckpt"), *one.glob("packed_best_submodel_*.ckpt")]
    for path in [*checkpoints, one / "metrics.csv", *one.glob("packed_best.json")]:
        name = path.relative_to(one)
        yield str(name), _read(path), _read(other / name)
    for name in ("summary.json", "model.nam"):
        yield name, _read(one / name), _read(other / name)


def _read(path: Path) -> Any:
    if path.suffix == ".ckpt":
        return torch.load(path, weights_only=True)
    return path.read_text() if path.suffix == ".csv" else json.loads(path.read_text())


def differences(one: Any, other: Any, place: str = "") -> list[str]:
    """Where two contents differ; what only the second one has is new, and no difference."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        kept = [key for key in one if key not in OTHERWISE]
        return [
            difference
            for key in kept
            for difference in (
                differences(one[key], other[key], f"{place}.{key}")
                if key in other
                else [f"{place}.{key}: lacks"]
            )
        ]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return [d for i, (a, b) in enumerate(pairs) for d in differences(a, b, f"{place}[{i}]")]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        equal = one.dtype == other.dtype and torch.equal(one, other)
    else:
        equal = type(one) is type(other) and (one == other or one != one)
    return [] if equal else [f"{place}: {_short(one)} and {_short(other)}"]


def _short(value: Any) -> str:
    return repr(value)[:80]


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="action", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("folder", type=Path)
    recording.add_argument("--checkout", type=Path, default=Path(__file__).resolve().parents[1])
    comparing = commands.add_parser("compare")
    comparing.add_argument("one", type=Path)
    comparing.add_argument("other", type=Path)
    arguments = parser.parse_args()
    if arguments.action == "record":
        record(arguments.folder.resolve(), arguments.checkout)
        return
    found = compare(arguments.one, arguments.other)
    print("\n".join(found) or "equal to the bit")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()

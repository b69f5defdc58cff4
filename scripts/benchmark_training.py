"""Time training against neural-amp-modeler 0.13.0: single steps, memory, whole epochs.

python scripts/benchmark_training.py                               # an hour or so on two cores
python scripts/benchmark_training.py --models a2 --threads one --rounds 3 --no-epoch
python scripts/benchmark_training.py --peer-python ENV/bin/python --json figures.json
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarking.commands import (
    SKIPPED_SAMPLES,
    Files,
    full_command,
    our_command,
    simplified_command,
    write_recording,
)
from benchmarking.comparison import (
    add_options,
    cells,
    compared,
    count,
    head,
    how_it_was_measured,
    take_turns,
    thread_settings,
)
from benchmarking.figures import described, machine, megabytes, table, today
from benchmarking.peer import find_peer
from benchmarking.trainings import Trainings
from benchmarking.workers import OURS, PEER

from namexp.door import guarded

MODELS = {
    "a2": "A2 pack, 3 and 8 channels",
    "a1": "A1 standard, 16 and 8 channels",
    "pack3": "pack of 3, 5 and 8 channels",
    "slimmable": "slimmable, 3, 6 and 12 channels",
}
FIRST_STEPS = 8  # whose losses are compared; every batch is another


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, MODELS, rounds=7)
    parser.add_argument("--steps", type=_steps, help="in one turn (default: 3; on a GPU 60)")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="cuda: the peer, as it comes, uses TF32"
    )
    switch = argparse.BooleanOptionalAction
    parser.add_argument("--single-steps", action=switch, default=True, help="time training steps")
    parser.add_argument("--epoch", action=switch, default=True, help="time whole trainings by command")
    parser.add_argument("--epochs", type=count, default=2, help="of them beyond the first (default: 2)")
    parser.add_argument("--epoch-rounds", type=count, default=2, help="turns of them (default: 2)")
    parser.add_argument(
        "--peer-trainer",
        choices=("full", "simplified"),
        default="full",
        help="nam-full (the default), or the trainer of its GUI, which also exports in every epoch",
    )
    parser.add_argument(
        "--recording", nargs=2, type=Path, metavar=("INPUT", "TARGET"), help="else three synthetic minutes"
    )
    return parser.parse_args()


def _steps(text: str) -> int:
    if (value := count(text)) % 3:
        raise argparse.ArgumentTypeError(f"{text} is no multiple of 3, the number of slimmable widths")
    return value


# --- single steps ---------------------------------------------------------------------------------


def measure_steps(model: str, given: argparse.Namespace, peer_python: str) -> dict[str, Any]:
    """Train ``model`` on all sides in turn."""
    on_gpu = given.device == "cuda"
    settings = ["all"] if on_gpu else thread_settings(given)
    steps = given.steps or (60 if on_gpu else 3)
    with compared(given, peer_python, model, device=given.device, batches=FIRST_STEPS) as workers:
        first = {
            side: worker.ask("steps", steps=FIRST_STEPS, threads=settings[0], full_width=True)
            for side, worker in workers.items()
        }
        timed = {
            name: take_turns(workers, given.rounds, "steps", steps=steps, threads=name) for name in settings
        }
    return {
        "times": timed,
        "losses": {side: answer["losses"] for side, answer in first.items()},
        "memory": {side: answer["memory"] for side, answer in first.items()},
    }


def loss_differences(losses: dict[str, list[float]], side: str) -> tuple[float, float, float]:
    """(relative at the first step, greatest relative, greatest absolute) of a side from the peer."""
    pairs = list(zip(losses[side], losses[PEER], strict=True))
    relative = [abs(own - peer) / abs(peer) for own, peer in pairs]
    return relative[0], max(relative), max(abs(own - peer) for own, peer in pairs)


def step_tables(found: dict[str, Any], given: argparse.Namespace) -> str:
    """What single steps take, and how alike the sides begin."""
    times, starts = [], []
    for model, result in found.items():
        times += [[MODELS[model], *cells(turns, name)] for name, turns in result["times"].items()]
        differences = [f"{d:.1e}" for d in loss_differences(result["losses"], OURS)]
        memory = [megabytes(result["memory"][side]) for side in (PEER, OURS)]
        starts.append([MODELS[model], *differences, *memory])
    losses = ["loss of step 1 differs by", f"losses of {FIRST_STEPS} steps", "absolute"]
    about = ["same weights and batches", *losses, f"memory, {PEER}", "memory, namexp"]
    return table(["one training step", *head(given)], times) + "\n\n" + table(about, starts)


# --- whole trainings ------------------------------------------------------------------------------


def measure_epochs(given: argparse.Namespace, peer_python: str, folder: Path) -> Trainings:
    """Train the A2 pack by command with both programs, for 1 and for more epochs, in turn."""
    files = Files(*(f.resolve() for f in given.recording)) if given.recording else write_recording(folder)
    if given.peer_trainer == "simplified":
        ours = our_command(files, given.device, start=SKIPPED_SAMPLES)
        peers = simplified_command(files, peer_python)
    else:
        ours, peers = our_command(files, given.device), full_command(files, given.device, peer_python)
    trainings = Trainings(folder, one_thread=given.threads == "one")
    turns = [(OURS, ours), (PEER, peers)]
    for i in range(given.epoch_rounds):
        for epochs in (1, 1 + given.epochs):
            for program, command in turns[:: 1 if i % 2 == 0 else -1]:
                _tell(f"training of {epochs} epochs: {program}")
                trainings.run(program, epochs, command)
    return trainings


# --- the report -----------------------------------------------------------------------------------


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _benchmark() -> None:
    given = _arguments()
    peer_python = find_peer(given.peer_python)
    report: dict[str, Any] = {"date": today(), "machine": machine(given.device)}
    parts = []
    if given.single_steps:
        report["steps"] = {}
        for model in given.models:
            _tell(f"training steps: {MODELS[model]}")
            report["steps"][model] = measure_steps(model, given, peer_python)
        parts.append(step_tables(report["steps"], given))
        parts.append(f"Batch 16, ny 8192. {how_it_was_measured(given)}")
    if given.epoch:
        with tempfile.TemporaryDirectory() as folder:
            trainings = measure_epochs(given, peer_python, Path(folder))
        report["trainings"] = {"trainer": given.peer_trainer, "seconds": trainings.seconds}
        parts += [trainings.table(), _how_trained(given)]
    parts.append(f"{report['date']}, {described(report['machine'])}.")
    print("\n\n".join(parts))
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _how_trained(given: argparse.Namespace) -> str:
    peers = "nam-full" if given.peer_trainer == "full" else "the simplified trainer"
    return (
        f"Medians of {given.epoch_rounds} rounds. One epoch: what {1 + given.epochs} epochs take longer than "
        f"1, divided by {given.epochs}. {PEER} trains with {peers}."
    )


if __name__ == "__main__":
    sys.exit(guarded("benchmark_training", _benchmark))

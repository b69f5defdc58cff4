"""Time playing a recording against neural-amp-modeler 0.13.0, with the same weights and samples.

python scripts/benchmark_render.py
python scripts/benchmark_render.py --models a2 --threads one --seconds 20 --rounds 3
python scripts/benchmark_render.py --hour                  # what an hour by command takes namexp
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarking.comparison import (
    add_options,
    cells,
    compared,
    head,
    how_it_was_measured,
    take_turns,
    thread_settings,
)
from benchmarking.figures import described, machine, megabytes, seconds, table, today
from benchmarking.our_side import first_model
from benchmarking.peer import find_peer
from benchmarking.workers import OURS, PEER

from namexp.audio.synth import embedded_recording
from namexp.audio.wav import write_wav_blocks
from namexp.door import guarded
from namexp.nam.model import write_nam

MODELS = {"a2": "A2 pack, both sizes", "a1": "A1 standard"}
PLAY = """
import sys
from benchmarking.serving import peak_memory
from namexp.render import main
code = main()
print(peak_memory())
sys.exit(code)
"""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_options(parser, MODELS, rounds=5)
    parser.add_argument("--seconds", type=float, default=60.0, help="of audio at 48 kHz (default: 60)")
    parser.add_argument(
        "--hour", action="store_true", help="play an hour by command with namexp, and nothing else"
    )
    return parser.parse_args()


def measure(model: str, given: argparse.Namespace, peer_python: str) -> dict[str, Any]:
    """Play the same samples on all sides in turn."""
    settings = thread_settings(given)
    first, played = {}, {}
    with (
        compared(given, peer_python, model, audio_seconds=given.seconds) as workers,
        tempfile.TemporaryDirectory() as folder,
    ):
        kept = Path(folder, "played.npy")
        for side, worker in workers.items():
            first[side] = worker.ask("render", threads=settings[0], keep=str(kept))
            played[side] = np.load(kept)
        timed = {name: take_turns(workers, given.rounds, "render", threads=name) for name in settings}
    return {
        "times": timed,
        "memory": {side: answer["memory"] for side, answer in first.items()},
        "difference": {side: float(np.abs(y - played[PEER]).max()) for side, y in played.items()},
        "peak": float(np.abs(played[PEER]).max()),
    }


def tables(found: dict[str, Any], given: argparse.Namespace) -> str:
    """Times, and how alike the outputs are."""

    def speed(taken: list[float]) -> str:
        return f"{seconds(taken)}, {given.seconds / median(taken):.1f} x real time"

    times, others = [], []
    for model, result in found.items():
        for threads, samples in result["times"].items():
            times.append([MODELS[model], *cells(samples, threads, speed)])
        difference = f"{result['difference'][OURS]:.1e} (peak {result['peak']:.2g})"
        memory = [megabytes(result["memory"][side]) for side in (PEER, OURS)]
        others.append([MODELS[model], difference, *memory])
    about = ["the same samples", "greatest difference", f"memory, {PEER}", "memory, namexp"]
    playing = f"playing {given.seconds:g} s"
    return table([playing, *head(given)], times) + "\n\n" + table(about, others)


def play_an_hour(model: str) -> dict[str, float]:
    """Seconds, and the peak of the memory, of the command that plays the model's best size."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("model.nam", "in.wav", "out.wav")]
        write_nam(first_model(model), files[0])
        recording = embedded_recording().input
        minute = np.resize(recording.samples, 60 * recording.sample_rate)
        write_wav_blocks(files[1], (minute for _ in range(60)), recording.sample_rate)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        began = time.perf_counter()
        played = subprocess.run(
            [sys.executable, "-c", PLAY, *files], env=environment, stdout=subprocess.PIPE, check=True
        )
        return {"wall": time.perf_counter() - began, "peak_memory": int(played.stdout.split()[-1])}


def hour_table(found: dict[str, dict[str, float]]) -> str:
    """Time and memory of an hour."""
    rows = [
        [MODELS[model], f"{result['wall']:.0f} s", megabytes(result["peak_memory"])]
        for model, result in found.items()
    ]
    return table(["namexp.render, an hour, all threads", "time", "memory of the whole process"], rows)


def _benchmark() -> None:
    given = _arguments()
    if given.hour:
        found: dict[str, Any] = {model: play_an_hour(model) for model in given.models}
        text, how = hour_table(found), "Whole commands; of a pack the best size."
    else:
        peer_python = find_peer(given.peer_python)
        found = {}
        for model in given.models:
            print(f"playing: {MODELS[model]}", file=sys.stderr)
            found[model] = measure(model, given, peer_python)
        text, how = tables(found, given), how_it_was_measured(given)
    print(f"{text}\n\n{today()}, {described(machine())}. {how}")
    if given.json:
        report = {"date": today(), "machine": machine(), "seconds": given.seconds, "models": found}
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(guarded("benchmark_render", _benchmark))

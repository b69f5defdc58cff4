"""Time HiFi-GAN against the official code: synthesis, and the training step.

git clone https://github.com/jik876/hifi-gan && git -C hifi-gan checkout 4769534
python -m venv peer && peer/bin/pip install torch librosa matplotlib scipy
python scripts/benchmark_vocoder.py --peer hifi-gan --peer-python peer/bin/python
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from benchmarking.figures import described, machine, ratio, table, today

from namexp.audio.speech import embedded_speech
from namexp.door import guarded
from namexp.errors import UserError

HERE = Path(__file__).resolve().parent / "benchmarking"
MODELS = ("v1", "v2", "v3")
SEGMENT, BATCH = 8192, 4


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", type=Path, required=True, metavar="CHECKOUT", help="of jik876/hifi-gan")
    parser.add_argument(
        "--peer-python", default=sys.executable, metavar="PATH", help="of an environment with librosa"
    )
    parser.add_argument("--models", default=",".join(MODELS), metavar=",".join(MODELS))
    parser.add_argument("--threads", default="1,2", help="CPU threads of synthesis (default: 1,2)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of audio (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (default: 5)")
    parser.add_argument("--clips", type=int, default=5, help="in one turn, of which the best counts")
    parser.add_argument("--steps", type=int, default=3, help="of training in one turn; 0: none")
    parser.add_argument("--step-rounds", type=int, default=3, help="turns of them (default: 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    return parser.parse_args()


def _run(command: list[Any]) -> dict[str, Any]:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise UserError(f"{command[0]} {command[1]}: failed: {last}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _synthesis(given: argparse.Namespace, model: str, threads: str) -> dict[str, list[dict[str, Any]]]:
    """Samples of both sides, in turn."""
    size = ["--seconds", given.seconds, "--rounds", given.clips, "--threads", threads]
    ours = [
        sys.executable, "-m", "namexp.synthesize", "--benchmark", f"hifigan_{model}", "--json", *size,
    ]  # fmt: skip
    peer = [given.peer_python, HERE / "vocoder_peer.py", "synthesis", given.peer, model, *size]
    samples: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
    for turn in range(given.rounds):
        sides = [("ours", ours), ("peer", peer)]
        for side, command in sides if turn % 2 else sides[::-1]:
            samples[side].append(_run(command))
    return samples


def _synthesis_row(model: str, threads: str, samples: dict[str, list[dict[str, Any]]]) -> list[str]:
    key = "cpu_s_best" if threads == "1" else "wall_s_best"
    ours, peer = ([sample[key] for sample in samples[side]] for side in ("ours", "peer"))
    audio = samples["ours"][0]["audio_s"]
    speeds = [f"{audio / median(times):.1f}" for times in (peer, ours)]
    return [f"{model.upper()}, {threads} thread{'s' * (threads != '1')}", *speeds, str(ratio(peer, ours))]


def _segments(folder: Path, steps: int) -> Path:
    """(steps, batch, samples) of the embedded clips."""
    clips = list(embedded_speech(22050).parts["train"].values())
    cuts = [clip[:SEGMENT] for clip in clips if clip.size >= SEGMENT]
    chosen = [cuts[i % len(cuts)] for i in range(steps * BATCH)]
    path = folder / "segments.npy"
    np.save(path, np.stack(chosen).reshape(steps, BATCH, SEGMENT).astype(np.float32))
    return path


def _steps(given: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    samples: dict[str, list[dict[str, Any]]] = {"ours": [], "peer": []}
    with tempfile.TemporaryDirectory() as folder:
        on = ["--segments", _segments(Path(folder), given.steps)]
        ours = [sys.executable, HERE / "vocoder_ours.py", "v3", *on]
        peer = [given.peer_python, HERE / "vocoder_peer.py", "steps", given.peer, "v3", *on]
        for turn in range(given.step_rounds):
            sides = [("ours", ours), ("peer", peer)]
            for side, command in sides if turn % 2 else sides[::-1]:
                samples[side].append(_run(command))
    return samples


def _steps_table(samples: dict[str, list[dict[str, Any]]]) -> str:
    times = {side: [median(sample["cpu_s"]) for sample in own] for side, own in samples.items()}
    memory = {side: [sample["max_rss"] for sample in own] for side, own in samples.items()}
    losses = [np.array([sample["losses"] for sample in samples[side]]) for side in ("ours", "peer")]
    apart = float(np.abs(losses[0] / losses[1] - 1).max())
    rows = [
        [
            "CPU seconds of a step", f"{median(times['peer']):.2f}", f"{median(times['ours']):.2f}",
            str(ratio(times["peer"], times["ours"])),
        ],
        [
            "greatest memory, MB", f"{median(memory['peer']) / 1e6:.0f}",
            f"{median(memory['ours']) / 1e6:.0f}",
            str(ratio(memory["ours"], memory["peer"])),
        ],
    ]  # fmt: skip
    head = ["V3, batch 4 x 8192, 1 thread", "official", "namexp", "ratio"]
    return f"{table(head, rows)}\n\nThe losses of both sides differ by at most {apart:.1e} of themselves."


def _compare(given: argparse.Namespace) -> None:
    if not (given.peer / "models.py").is_file():
        raise UserError(f"--peer (= {given.peer}): is no checkout of jik876/hifi-gan: it has no models.py.")
    found: dict[str, Any] = {"machine": machine(), "date": today(), "synthesis": {}}
    rows = []
    for threads in given.threads.split(","):
        for model in given.models.split(","):
            print(f"{model}, {threads} thread(s) ...", file=sys.stderr)
            samples = _synthesis(given, model, threads)
            found["synthesis"][f"{model}, {threads}"] = samples
            rows.append(_synthesis_row(model, threads, samples))
    print(f"{today()}, {described(machine())}; medians of {given.rounds} turns\n")
    head = [f"{given.seconds:g} s of audio, times real time", "official", "namexp", "times as fast"]
    print(table(head, rows))
    if given.steps:
        print("training steps ...", file=sys.stderr)
        found["steps"] = _steps(given)
        print(f"\n{_steps_table(found['steps'])}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    arguments = _arguments()
    sys.exit(guarded("benchmark_vocoder", lambda: _compare(arguments)))

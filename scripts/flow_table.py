"""Print the table of NanoFlow's README with ours beside it: parameters counted here, speed measured here.

The log-likelihoods are those of the released weights, quoted from there: nothing is trained.

python scripts/flow_table.py
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarking.figures import described, machine, table, today

from namexp.conf_dir import conf_dir
from namexp.door import guarded

# model of ours -> test-set LL (gain) and millions of parameters as L0SG/NanoFlow at da88538 tells them
QUOTED = {
    "waveflow_h16_r64": ("5.1499 (+0.0142)", "5.925"),
    "waveflow_h16_r128": ("5.2263 (+0.0204)", "22.336"),
    "nanoflow_h16_r128_emb512": ("5.1711 (+0.0125)", "2.819"),
    "nanoflow_h16_r128_emb1024_f16": ("5.2024 (+0.0151)", "2.845"),
}
HEAD = [
    "model", "LL (gain), quoted", "M parameters, quoted", "that synthesise", "that learn", "times real time",
]  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", default=",".join(QUOTED), help="(default: all four)")
    parser.add_argument("--seconds", type=float, default=0.5, help="of audio (default: 0.5)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts (default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def _row(name: str, given: argparse.Namespace) -> dict[str, Any]:
    """What we count and measure of a model with random weights."""
    from namexp.tasks.known import named_model
    from namexp.tasks.vocoder.flows.networks import build_network
    from namexp.tasks.vocoder.flows.playing import speed

    model: Any = named_model(name, conf_dir()).model
    network = build_network(model, seed=0).eval()
    audio, cpu, wall = speed(network, model.sample_rate, seconds=given.seconds, rounds=given.rounds)
    return {
        "model": name, "parameters": model.flow.num_parameters,
        "parameters_training": model.flow.num_parameters_training,
        "audio_seconds": audio, "cpu_seconds": cpu, "wall_seconds": wall,
    }  # fmt: skip


def _print(given: argparse.Namespace) -> None:
    import torch

    torch.set_num_threads(given.threads)
    rows = []
    for name in given.models.split(","):
        print(f"{name} ...", file=sys.stderr)
        rows.append(_row(name, given))
    cells = [
        [
            row["model"], *QUOTED.get(row["model"], ("", "")), f"{row['parameters']:,}",
            f"{row['parameters_training']:,}", f"{row['audio_seconds'] / row['cpu_seconds']:.2f}",
        ]
        for row in rows
    ]  # fmt: skip
    # CPU seconds, which other work on the machine hardly lengthens; with one thread they are the wall's
    print(f"{today()}, {described(machine())}; CPU seconds of {given.threads} thread(s), float32\n")
    print(table(HEAD, cells))
    if given.json:
        found = {"date": today(), "machine": machine(), "threads": given.threads, "models": rows}
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    arguments = _arguments()
    sys.exit(guarded("flow_table", lambda: _print(arguments)))

"""``python -m namexp.evaluate MODEL IN.wav TARGET.wav``: ESR, MRSTFT and MSE of every submodel."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from namexp.door import guarded


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.evaluate",
        description="Compare what a model plays for IN.wav with TARGET.wav. As in training, the first "
        "receptive_field - 1 samples are context and are not scored.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("input", type=Path, metavar="IN.wav")
    parser.add_argument("target", type=Path, metavar="TARGET.wav")
    parser.add_argument("--slim", type=float, metavar="V", help="only the size that plays at V")
    parser.add_argument(
        "--delay", type=int, default=0, metavar="N", help="samples the target lags behind the input"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to FILE")
    return parser.parse_args()


def _evaluate(arguments: argparse.Namespace) -> None:
    from namexp.audio.wav import read_wav
    from namexp.errors import UserError
    from namexp.runs.files import write_json
    from namexp.tasks.capture.weights.playable import load_playable

    playable = load_playable(arguments.model)
    input_, target = read_wav(arguments.input), read_wav(arguments.target)
    rates: dict[Path, float] = {arguments.input: input_.sample_rate, arguments.target: target.sample_rate}
    if playable.sample_rate:
        rates[arguments.model] = playable.sample_rate
    if len(set(rates.values())) > 1:
        shown = ", ".join(f"{path}: {rate:g} Hz" for path, rate in rates.items())
        raise UserError(f"the sample rates differ ({shown}); convert them to one rate.")
    rows = range(playable.num_sizes)
    if arguments.slim is not None:
        row = playable.selected(arguments.slim)
        rows = range(row, row + 1)
    submodels = _scores(playable, input_.samples, target.samples, arguments, rows)
    names = [key for key in submodels[0] if key != "index"]
    print("submodel  " + "  ".join(name.rjust(10) for name in names))
    for entry in submodels:
        print(f"{entry['index']:8d}  " + "  ".join(f"{entry[name]:10.6f}" for name in names))
    if arguments.json is not None:
        write_json(arguments.json, {"submodels": submodels})


def _scores(
    playable: Any, x: Any, y: Any, arguments: argparse.Namespace, rows: range
) -> list[dict[str, Any]]:
    import torch

    from namexp.errors import UserError
    from namexp.tasks.capture.metrics import recording_metrics

    delay = arguments.delay
    length = min(x.size, y.size - delay) if delay >= 0 else min(x.size + delay, y.size)
    context = (playable.network.receptive_field or 1) - 1
    if length <= context:
        raise UserError(
            f"{arguments.target}: {max(0, length)} samples are left to score at --delay {delay}, and the "
            f"model needs more than its receptive field of {context + 1}."
        )
    start = max(0, -delay)
    played = playable.play(torch.from_numpy(x[start : start + length]))[list(rows)]
    target = torch.from_numpy(y[max(0, delay) : max(0, delay) + length])
    if not torch.any(target[context:]):
        raise UserError(f"{arguments.target}: is silent, so ESR is undefined; check the recording.")
    metrics = recording_metrics([(played[:, context:], target[context:])])
    return [
        {"index": index, **{name: float(values[i]) for name, values in metrics.items()}}
        for i, index in enumerate(rows)
    ]


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.evaluate", lambda: _evaluate(arguments))


if __name__ == "__main__":
    sys.exit(main())

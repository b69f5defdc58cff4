"""``python -m namexp.evaluate MODEL IN.wav TARGET.wav``: ESR, MRSTFT and MSE of every submodel."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

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
    from namexp.runs.files import write_json
    from namexp.tasks.capture.evaluating import evaluate_files

    submodels = evaluate_files(
        arguments.model, arguments.input, arguments.target, slim=arguments.slim, delay=arguments.delay
    )
    names = [key for key in submodels[0] if key != "index"]
    print("submodel  " + "  ".join(name.rjust(10) for name in names))
    for entry in submodels:
        print(f"{entry['index']:8d}  " + "  ".join(f"{entry[name]:10.6f}" for name in names))
    if arguments.json is not None:
        write_json(arguments.json, {"submodels": submodels})


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.evaluate", lambda: _evaluate(arguments))


if __name__ == "__main__":
    sys.exit(main())

"""``python -m namexp.render MODEL IN.wav OUT.wav [--slim V]``: play audio through a model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from namexp.door import guarded, refuse_missing


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.render",
        description="Play a mono recording through a .nam, a checkpoint or a run directory. The output "
        "is a 32-bit float WAV of the same length and rate.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument("input", type=Path, metavar="IN.wav")
    parser.add_argument("output", type=Path, metavar="OUT.wav")
    parser.add_argument(
        "--slim", type=float, metavar="V", help="quality from 0 to 1 (default: the best size)"
    )
    return parser.parse_args()


def _render(arguments: argparse.Namespace) -> None:
    import logging

    refuse_missing(arguments.model, arguments.input)
    from namexp.tasks.capture.rendering import render_file

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # notices, on stderr
    print(render_file(arguments.model, arguments.input, arguments.output, slim=arguments.slim))


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.render", lambda: _render(arguments))


if __name__ == "__main__":
    sys.exit(main())

"""``python -m namexp.export RUN``: run directory to a verified model file, without training."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from namexp.door import guarded
from namexp.tasks.doors import add_averaging


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.export",
        description="Export the best weights of a run again: of an amp a .nam with other thresholds "
        "or metadata, "
        "of a vocoder in another format. The file is read back and compared with the network before it gets "
        "its "
        "name.",
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: RUN/model.nam, RUN/model.safetensors"
    )
    amps = parser.add_argument_group("models of amps")
    amps.add_argument(
        "--container-max-values",
        metavar="V",
        help="uniform, compute, quality, or one threshold for each submodel such as 0.3,1.0 (default: the "
        "run's)",
    )
    amps.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="name, modeled_by, gear_type, ... (repeat for more)",
    )
    vocoders = parser.add_argument_group("vocoders")
    vocoders.add_argument(
        "--format",
        choices=("safetensors", "official", "onnx"),
        help="official: the files of the official codes (default: as FILE ends)",
    )
    vocoders.add_argument(
        "--config", type=Path, metavar="FILE", help="config.json of an official RUN (default: beside it)"
    )
    vocoders.add_argument(
        "--discriminators", action="store_true", help="keep them in model.safetensors, to train on from it"
    )
    add_averaging(parser.add_argument_group("flows"))
    return parser.parse_args()


def _export(arguments: argparse.Namespace) -> None:
    from namexp.tasks.known import doors_at

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # notices, on stderr
    doors = doors_at(arguments.run, arguments.config)
    doors.refuse_others(arguments, arguments.run)
    for path in doors.export(arguments):
        print(path)


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.export", lambda: _export(arguments))


if __name__ == "__main__":
    sys.exit(main())

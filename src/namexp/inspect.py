"""``python -m namexp.inspect FILE|--model NAME [--json]``: what is in a model, and whether it will load."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from namexp.conf_dir import conf_dir
from namexp.door import FAILED, OK, guarded
from namexp.tasks.doors import Inspected


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.inspect",
        description="Tell what is in a model. Of a .nam file: also whether the C++ runtime loads it "
        "(exit 0) or "
        "not (exit 1, with the reason).",
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "file",
        type=Path,
        nargs="?",
        metavar="FILE",
        help="a .nam; or a vocoder's run, model.safetensors, g_ file",
    )
    what.add_argument("--model", metavar="NAME", help="instead: an option of model=, such as hifigan_v1")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="config.json of an official g_ or waveflow_ file"
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.parse_args()


def _inspect(arguments: argparse.Namespace) -> int:
    from namexp.tasks.known import doors_at, doors_of, named_model

    if arguments.model is None:
        doors = doors_at(arguments.file, arguments.config)
        doors.refuse_others(arguments, arguments.file)
        return _told(doors.inspect(arguments), arguments)
    config = named_model(arguments.model, conf_dir())
    return _told(Inspected.of(doors_of(config).describe(config)), arguments)


def _told(inspected: Inspected, arguments: argparse.Namespace) -> int:
    if arguments.json:
        print(json.dumps(inspected.content, indent=2))
    elif inspected.lines:
        print("\n".join(inspected.lines))
    if inspected.fault is None:
        return OK
    print(f"namexp.inspect: {inspected.fault}", file=sys.stderr)
    return FAILED


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.inspect", lambda: _inspect(arguments))


if __name__ == "__main__":
    sys.exit(main())

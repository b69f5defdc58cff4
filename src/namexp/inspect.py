"""``python -m namexp.inspect MODEL.nam [--json]``: what is in a file, and whether it will load."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from namexp.door import FAILED, OK, guarded


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.inspect",
        description="Tell what is in a .nam file and whether the C++ runtime loads it (exit 0) or not "
        "(exit 1, with the reason).",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.nam")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.parse_args()


def _inspect(arguments: argparse.Namespace) -> int:
    from namexp.nam.describe import describe_file, lines

    described = describe_file(arguments.model)
    if arguments.json:
        print(json.dumps(described, indent=2))
    elif described["loads"]:
        print("\n".join([f"{arguments.model}: the C++ runtime loads it", *lines(described, "  ")]))
    for warning in described["warnings"] if not arguments.json else []:
        print(f"warning: {warning}")
    if not described["loads"]:
        print(f"namexp.inspect: does not load: {described['reason']}", file=sys.stderr)
        return FAILED
    return OK


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.inspect", lambda: _inspect(arguments))


if __name__ == "__main__":
    sys.exit(main())

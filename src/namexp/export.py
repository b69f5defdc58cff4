"""``python -m namexp.export RUN``: run directory to verified ``.nam``, without training."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from namexp.door import guarded


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.export",
        description="Export the best weights of a run again, with other thresholds or metadata. The "
        "file is read back and compared with the network before it gets its name.",
    )
    parser.add_argument("run", type=Path, metavar="RUN")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: RUN/model.nam")
    parser.add_argument(
        "--container-max-values",
        metavar="V",
        help="uniform, compute, quality, or one threshold for each submodel such as 0.3,1.0 (default: the "
        "run's)",
    )
    parser.add_argument(
        "--metadata",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="name, modeled_by, gear_type, ... (repeat for more)",
    )
    return parser.parse_args()


def _export(arguments: argparse.Namespace) -> None:
    from namexp.tasks.capture.config.export import metadata_of
    from namexp.tasks.capture.config.thresholds import setting_of
    from namexp.tasks.capture.weights.exporting import export_run

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # notices, on stderr
    path = export_run(
        arguments.run,
        output=arguments.output,
        container_max_values=setting_of(arguments.container_max_values, "--container-max-values"),
        metadata=metadata_of(arguments.metadata, "--metadata"),
    )
    print(path)


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.export", lambda: _export(arguments))


if __name__ == "__main__":
    sys.exit(main())

"""``python -m namexp.synthesize MODEL IN... OUT_DIR``: mels or recordings through a vocoder, or images."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from namexp.conf_dir import conf_dir
from namexp.door import guarded
from namexp.tasks.doors import add_averaging

MEL_SCALES = ("natural", "log10", "db", "linear", "normalized")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.synthesize",
        usage="%(prog)s [options] MODEL IN [IN ...] OUT_DIR\n       %(prog)s [options] DENSITY OUT_DIR\n"
        "       %(prog)s --benchmark NAME [options]",
        description="Write generated-<name>.wav for every recording and every mel spectrogram (.npy), or "
        "everything in a directory: whole frames, 16-bit. MODEL is a run, a checkpoint, a model.safetensors, "
        "or an official g_ or waveflow_ file with its config.json beside it. A DENSITY of images draws them: "
        "sample-<number>.png.",
    )
    parser.add_argument("model", type=Path, nargs="?", metavar="MODEL")
    parser.add_argument("inputs", type=Path, nargs="*", metavar="IN")
    parser.add_argument("--float", action="store_true", help="32-bit float instead of 16-bit integers")
    parser.add_argument(
        "--mel-scale",
        choices=MEL_SCALES,
        default="natural",
        help="of .npy files (default: natural log of magnitudes)",
    )
    parser.add_argument(
        "--match-length", action="store_true", help="as long as the recording, not whole frames"
    )
    parser.add_argument(
        "--chunk-seconds", type=float, metavar="S", help="held at a time (default: 10); changes no output"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="config.json of an official g_ or waveflow_ file (default: beside it)",
    )
    flows = parser.add_argument_group("flows, and densities of images")
    flows.add_argument(
        "--temperature", metavar="T", help="of the noise (default: 1); of 0.6,0.8,1 each has a directory"
    )
    flows.add_argument("--seed", type=int, metavar="S", help="of the noise (default: 0)")
    flows.add_argument("--count", type=int, metavar="N", help="images of a density (default: 16)")
    flows.add_argument("--latent", type=Path, metavar="FILE", help=".npy of the noise itself, of one input")
    flows.add_argument("--trim", choices=("official",), help="end two hops earlier, as the official codes do")
    add_averaging(flows)
    test = parser.add_argument_group("test sets")
    test.add_argument("--test", action="store_true", help="IN is one directory, a test set")
    test.add_argument("--expected-files", type=int, default=3, metavar="N", help="that it has (default: 3)")
    test.add_argument("--accept-untested", action="store_true", help="take another number without a question")
    times = parser.add_argument_group("timing")
    times.add_argument(
        "--benchmark", metavar="NAME", help="an option of model=, with random weights: hifigan_v1"
    )
    times.add_argument("--seconds", type=float, default=2.0, metavar="S", help="of audio (default: 2)")
    times.add_argument("--rounds", type=int, default=7, metavar="N", help="the best counts (default: 7)")
    times.add_argument("--threads", type=int, default=1, metavar="T", help="of the CPU (default: 1)")
    times.add_argument("--json", action="store_true", help="print the figures as JSON")
    words = ["--trim=official" if word == "trim=official" else word for word in sys.argv[1:]]
    arguments = parser.parse_args(words)
    if arguments.benchmark is None and not arguments.inputs:
        parser.error("MODEL, at least one IN (but for a density) and OUT_DIR are needed")
    for name in ("seconds", "rounds", "threads"):
        if not 0 < getattr(arguments, name) < float("inf"):
            parser.error(f"--{name} must be above 0")
    if arguments.benchmark is None:
        *arguments.inputs, arguments.output = arguments.inputs
    return arguments


def _synthesize(arguments: argparse.Namespace) -> None:
    from namexp.tasks.known import doors_at, doors_of, named_model

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # notices, on stderr
    if arguments.benchmark is None:
        doors = doors_at(arguments.model, arguments.config)
        doors.refuse_others(arguments, arguments.model)
        doors.check_inputs(arguments)
        for line in doors.synthesize(arguments):
            print(line)
        return
    config = named_model(arguments.benchmark, conf_dir())
    figures = doors_of(config).benchmark(config, arguments)
    if arguments.json:
        print(json.dumps(figures))
    else:
        known = {name: value for name, value in figures.items() if value is not None}
        print("\n".join(f"{name.ljust(12)} {value:.4g}" for name, value in known.items()))


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.synthesize", lambda: _synthesize(arguments))


if __name__ == "__main__":
    sys.exit(main())

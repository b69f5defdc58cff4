"""``python -m namexp.evaluate MODEL IN.wav TARGET.wav``, of a vocoder ``MODEL CLIPS...``: how good it is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from namexp.door import guarded, refuse_missing
from namexp.runs.files import write_json
from namexp.tasks.doors import add_averaging


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m namexp.evaluate",
        usage="%(prog)s [options] MODEL IN.wav TARGET.wav\n       %(prog)s [options] VOCODER "
        "CLIP_OR_DIR [...]",
        description="Of a model of an amp: ESR, MRSTFT and MSE of every submodel between what it "
        "plays for IN.wav "
        "and TARGET.wav; as in training, the first receptive_field - 1 samples are context and are not "
        "scored. Of "
        "a vocoder: mel error and MRSTFT of every clip, played from the clip's own mel spectrogram; of a "
        "flow: the "
        "log-likelihood of every clip.",
    )
    parser.add_argument("model", type=Path, metavar="MODEL")
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="recordings, or directories of clips"
    )
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="write the figures to FILE, or print them"
    )
    amps = parser.add_argument_group("models of amps")
    amps.add_argument("--slim", type=float, metavar="V", help="only the size that plays at V")
    amps.add_argument("--delay", type=int, metavar="N", help="samples the target lags behind the input")
    amps.add_argument("--allow-unequal-lengths", action="store_true", help="score what both recordings share")
    vocoders = parser.add_argument_group("vocoders")
    vocoders.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="config.json of an official g_ or waveflow_ file (default: beside it)",
    )
    flows = parser.add_argument_group("flows")
    flows.add_argument("--reference", metavar="VALUE|RUN", help="what ll_gain counts from")
    flows.add_argument(
        "--latents", type=Path, metavar="DIR", help="write the noise of every clip to DIR/<name>.npy"
    )
    add_averaging(flows)
    return parser.parse_args()


def _evaluate(arguments: argparse.Namespace) -> None:
    import logging

    refuse_missing(arguments.model, *arguments.paths)
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # notices, on stderr
    from namexp.tasks.known import doors_at

    doors = doors_at(arguments.model, arguments.config)
    doors.refuse_others(arguments, arguments.model)
    evaluated = doors.evaluate(arguments)
    if arguments.json == "-":
        print(json.dumps(evaluated.content, indent=2))
        return
    if arguments.json is not None:
        write_json(Path(arguments.json), evaluated.content)
    print("\n".join(evaluated.lines))


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.evaluate", lambda: _evaluate(arguments))


if __name__ == "__main__":
    sys.exit(main())

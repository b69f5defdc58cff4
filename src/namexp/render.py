"""``python -m namexp.render MODEL IN.wav OUT.wav [--slim V]``: play audio through a model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from namexp.door import guarded


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
    import torch

    from namexp.audio.wav import read_wav, write_wav
    from namexp.errors import UserError
    from namexp.playable import load_playable

    playable = load_playable(arguments.model)
    row = -1 if arguments.slim is None else playable.selected(arguments.slim)
    recording = read_wav(arguments.input)
    if playable.sample_rate and playable.sample_rate != recording.sample_rate:
        raise UserError(
            f"{arguments.input}: is recorded at {recording.sample_rate} Hz and the model runs at "
            f"{playable.sample_rate:g} Hz; convert the recording to the model's rate."
        )
    played = playable.play(torch.from_numpy(recording.samples))[row]
    if not torch.isfinite(played).all():
        raise UserError(f"{arguments.model}: its output is not finite; the model is broken.")
    write_wav(arguments.output, played.numpy(), recording.sample_rate)
    print(f"{arguments.output}: {len(recording.samples)} samples at {recording.sample_rate} Hz")


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.render", lambda: _render(arguments))


if __name__ == "__main__":
    sys.exit(main())

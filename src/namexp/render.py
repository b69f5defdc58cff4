"""``python -m namexp.render MODEL IN.wav OUT.wav [--slim V]``: play audio through a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from namexp.door import guarded

if TYPE_CHECKING:
    from namexp.audio.wav import Samples, WavReader
    from namexp.tasks.capture.weights.playable import Playable


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

    from namexp.audio.wav import open_wav, write_wav_blocks
    from namexp.errors import UserError
    from namexp.tasks.capture.weights.playable import load_playable

    logging.basicConfig(level=logging.INFO, format="%(message)s")  # notices, on stderr
    playable = load_playable(arguments.model)
    row = playable.num_sizes - 1 if arguments.slim is None else playable.selected(arguments.slim)
    with open_wav(arguments.input) as wav:
        if playable.sample_rate and playable.sample_rate != wav.sample_rate:
            raise UserError(
                f"{arguments.input}: is recorded at {wav.sample_rate} Hz and the model runs at "
                f"{playable.sample_rate:g} Hz; convert the recording to the model's rate."
            )
        write_wav_blocks(
            arguments.output, _played(playable.at_size(row), wav, arguments.model), wav.sample_rate
        )
        print(f"{arguments.output}: {wav.num_samples} samples at {wav.sample_rate} Hz")


def _played(playable: Playable, wav: WavReader, model: Path) -> Iterator[Samples]:
    """The output, block by block, so that a recording of any length fits into memory."""
    import torch
    from tqdm import tqdm

    from namexp.errors import UserError

    player = playable.player()
    total = wav.num_samples / wav.sample_rate
    form = "{desc} {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s of audio, {remaining} left"
    with tqdm(total=total, desc="rendering", delay=1.0, leave=False, bar_format=form) as bar:
        for block in wav.blocks():
            played = player(torch.from_numpy(block))[-1]  # a container in a container plays its best
            if not torch.isfinite(played).all():
                raise UserError(f"{model}: its output is not finite; the model is broken.")
            bar.update(block.size / wav.sample_rate)
            yield played.numpy()


def main() -> int:
    """The command."""
    arguments = _arguments()
    return guarded("namexp.render", lambda: _render(arguments))


if __name__ == "__main__":
    sys.exit(main())

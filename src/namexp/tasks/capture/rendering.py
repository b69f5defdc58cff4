"""A recording of any length played through a model, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from tqdm import tqdm

from namexp.audio.wav import Samples, WavReader, open_wav, write_wav_blocks
from namexp.door import refuse_other_format
from namexp.errors import UserError
from namexp.tasks.capture.weights.playable import Playable, load_playable


def render_file(model: Path, input: Path, output: Path, *, slim: float | None = None) -> str:
    """Play ``input`` and write what comes out, 32-bit float, of the same length and rate.

    Args:
        model: a ``.nam``, a checkpoint or a run directory.
        input: a mono recording.
        output: the WAV.
        slim: position of the quality knob, 0 to 1; None: the best size.

    Returns:
        What was written, in a line.

    Raises:
        UserError: unreadable, another rate, an output that is called something else than a WAV, or a model
            that plays no finite numbers.
    """
    refuse_other_format(output, (".wav", ".wave"), "a WAV")
    playable = load_playable(model)
    row = playable.num_sizes - 1 if slim is None else playable.selected(slim)
    with open_wav(input, lossy="noticed") as wav:
        if playable.sample_rate and playable.sample_rate != wav.sample_rate:
            raise UserError(
                f"{input}: is recorded at {wav.sample_rate} Hz and the model runs at "
                f"{playable.sample_rate:g} Hz; convert the recording to the model's rate."
            )
        write_wav_blocks(output, _played(playable.at_size(row), wav, model), wav.sample_rate)
        return f"{output}: {wav.num_samples} samples at {wav.sample_rate} Hz"


def _played(playable: Playable, wav: WavReader, model: Path) -> Iterator[Samples]:
    """The output, block by block, so that a recording of any length fits into memory."""
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

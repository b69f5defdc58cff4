"""Sound from mels or recordings by a flow: noise in, audio out, in pieces of any length."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from namexp.tasks.vocoder.flows.playing import in_pieces
from namexp.tasks.vocoder.flows.voice import FlowVoice, load_flow
from namexp.tasks.vocoder.sources import Options, Source, checked, collected, mel_blocks, written
from namexp.tasks.vocoder.testset import list_test_set

log = logging.getLogger(__name__)


class Drawing(NamedTuple):
    """The noise.

    Attributes:
        temperature: its standard deviation.
        seed: of every file alike.
    """

    temperature: float
    seed: int


def synthesize(
    model: Path, inputs: Sequence[Path], output: Path, options: Options, drawing: Drawing
) -> Iterator[str]:
    """Write ``generated-<name>.wav`` of every input, a line for each; nothing before all have been checked.

    Raises:
        UserError: a model or an input that cannot be used, in one line.
    """
    voice = load_flow(model)  # before anybody is asked for thought
    paths = collected(inputs, output, options)
    log.info("%s: %s", model, in_words(voice))
    yield from _all(voice, paths, output, options, drawing)


def synthesize_test_set(model: Path, folder: Path, output: Path) -> None:
    """What a finished training makes of its test set, which was checked before it began."""
    for line in _all(load_flow(model), list_test_set(folder), output, Options(), Drawing(1.0, 0)):
        log.info("%s", line)


def _all(
    voice: FlowVoice, paths: Sequence[Path], output: Path, options: Options, drawing: Drawing
) -> Iterator[str]:
    spec = voice.mels.input
    sources = [checked(path, spec, options) for path in paths]

    def play(source: Source) -> Iterator[Tensor]:
        return _played(voice, source, options, drawing)

    return written(sources, output, options, spec, play)


def _played(voice: FlowVoice, source: Source, options: Options, drawing: Drawing) -> Iterator[Tensor]:
    """Whole hops of a source, filled up to whole columns; what is too much is cut off by whoever writes."""
    spec, h = voice.mels.input, voice.network.spec.n_height
    columns = -(-source.hops * spec.hop_length // h)
    missing = -(-columns * h // spec.hop_length) - (source.hops + spec.centered)
    mels = _filled(mel_blocks(source, spec, options), missing)
    yield from in_pieces(voice.network, mels, columns * h, temperature=drawing.temperature, seed=drawing.seed)


def _filled(mels: Iterable[Tensor], missing: int) -> Iterator[Tensor]:
    """As many frames more as are missing, equal to the last."""
    mel = torch.zeros(0, 0)
    for mel in mels:
        yield mel
    if missing > 0:
        yield mel[:, -1:].expand(-1, missing)


def in_words(voice: FlowVoice) -> str:
    """What it plays, in a line."""
    flow, spec = voice.network.spec, voice.mels.input
    return (
        f"{voice.kind}, {flow.num_parameters:,} parameters; mel: {spec.n_mels} bins, {spec.fmin:g} to "
        f"{spec.top:g} Hz, centred, n_fft {spec.n_fft}, hop {spec.hop_length} at {spec.sample_rate} Hz"
    )

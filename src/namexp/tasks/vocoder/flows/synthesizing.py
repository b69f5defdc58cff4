"""Sound from mels or recordings by a flow: noise in, audio out, in pieces of any length."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from namexp.errors import UserError
from namexp.models.waveflow import Noise
from namexp.tasks.doors import temperatures_of
from namexp.tasks.vocoder.flows.latents import StoredLatent
from namexp.tasks.vocoder.flows.loading import load_flow
from namexp.tasks.vocoder.flows.playing import Latent, in_pieces
from namexp.tasks.vocoder.flows.voice import FlowVoice
from namexp.tasks.vocoder.sources import Options, Source, checked, collected, mel_blocks, written
from namexp.tasks.vocoder.testset import list_test_set

log = logging.getLogger(__name__)

OFFICIAL_HOPS = 2  # that the official codes drop at the end of a clip


class Drawing(NamedTuple):
    """The noise.

    Attributes:
        temperatures: its standard deviations: every input is played at each.
        seed: of every file alike.
        latent: a file of it instead; the temperatures multiply it.
        official_length: end where the official codes do, two hops earlier.
    """

    temperatures: tuple[float, ...] = (1.0,)
    seed: int = 0
    latent: Path | None = None
    official_length: bool = False

    @classmethod
    def of(cls, arguments: Namespace) -> Drawing:
        """What the command line says.

        Raises:
            UserError: a temperature that is none, or a seed beside a latent.
        """
        if arguments.latent is not None and arguments.seed is not None:
            raise UserError("--seed draws noise, and --latent FILE brings it; give one of them.")
        if arguments.seed is not None and not 0 <= arguments.seed < 2**63:
            raise UserError(f"--seed (= {arguments.seed}) must be at least 0 and below 2^63.")
        if arguments.trim == "official" and arguments.match_length:
            raise UserError("--trim official ends earlier, and --match-length later; give one of them.")
        return cls(
            temperatures_of(arguments.temperature),
            arguments.seed or 0,
            arguments.latent,
            arguments.trim == "official",
        )

    def columns_of(self, n_height: int, temperature: float) -> Latent:
        """A file's noise."""
        if self.latent is not None:
            return StoredLatent(self.latent, n_height, temperature=temperature)
        return Noise(n_height, seed=self.seed, temperature=temperature)


def synthesize(
    voice: FlowVoice, inputs: Sequence[Path], output: Path, options: Options, drawing: Drawing
) -> Iterator[str]:
    """Write ``generated-<name>.wav`` of every input, a line for each; nothing before all have been checked.

    Of several temperatures each has a directory of its own.

    Raises:
        UserError: an input that cannot be used, in one line.
    """
    paths = collected(inputs, output, options)
    log.info("%s: %s", voice.source, in_words(voice))
    yield from _all(voice, paths, output, options, drawing)


def synthesize_test_set(model: Path, folder: Path, output: Path) -> None:
    """What a finished training makes of its test set, which was checked before it began."""
    for line in _all(load_flow(model), list_test_set(folder), output, Options(), Drawing()):
        log.info("%s", line)


def _all(
    voice: FlowVoice, paths: Sequence[Path], output: Path, options: Options, drawing: Drawing
) -> Iterator[str]:
    spec, h = voice.mels.input, voice.network.spec.n_height
    sources = [_ended(checked(path, spec, options), drawing) for path in paths]
    if drawing.latent is not None:
        _check_latent(StoredLatent(drawing.latent, h), sources, voice)
    synthesizer = voice.network.synthesizer()
    for temperature in drawing.temperatures:

        def play(source: Source, temperature: float = temperature) -> Iterator[Tensor]:
            """Whole hops of a source, filled up to whole columns; the writer cuts off what is too much."""
            columns = -(-source.hops * spec.hop_length // h)
            missing = -(-columns * h // spec.hop_length) - (source.hops + spec.centered)
            mels = _filled(mel_blocks(source, spec, options), missing)
            return in_pieces(synthesizer, mels, columns * h, drawing.columns_of(h, temperature))

        one = len(drawing.temperatures) == 1
        yield from written(sources, output if one else output / f"{temperature:g}", options, spec, play)


def _ended(source: Source, drawing: Drawing) -> Source:
    """With as many hops as are played."""
    if not drawing.official_length:
        return source
    if source.hops <= OFFICIAL_HOPS:
        raise UserError(f"{source.path}: is too short for --trim official, which drops {OFFICIAL_HOPS} hops.")
    return source._replace(hops=source.hops - OFFICIAL_HOPS)


def _check_latent(latent: StoredLatent, sources: Sequence[Source], voice: FlowVoice) -> None:
    if len(sources) != 1:
        raise UserError(f"--latent is the noise of one input, and there are {len(sources)}.")
    needed = -(-sources[0].hops * voice.mels.input.hop_length // voice.network.spec.n_height)
    latent.columns(needed)


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

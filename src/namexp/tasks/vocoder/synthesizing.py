"""From mel spectrograms or recordings to sound by a generator, of any length in constant memory.

Letters: M mels, F frames, L samples.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from namexp.models.hifigan.synthesizer import Synthesizer
from namexp.tasks.vocoder.sources import Options, Source, checked, collected, mel_blocks, written
from namexp.tasks.vocoder.testset import list_test_set
from namexp.tasks.vocoder.weights.loading import load_voice
from namexp.tasks.vocoder.weights.voice import Voice

log = logging.getLogger(__name__)


def synthesize(
    model: Path, inputs: Sequence[Path], output: Path, options: Options, *, config: Path | None = None
) -> Iterator[str]:
    """Write ``generated-<name>.wav`` of every input, a line for each; nothing before all have been checked.

    Args:
        model: whatever ``load_voice`` opens.
        inputs: recordings, mels, or directories of them.
        output: the directory.
        options: how.
        config: an official ``config.json``.

    Raises:
        UserError: a model or an input that cannot be used, in one line.
    """
    voice = load_voice(model, config)  # before anybody is asked for thought
    paths = collected(inputs, output, options)
    log.info("%s: %s", model, in_words(voice))
    yield from _all(voice, paths, output, options)


def synthesize_test_set(model: Path, folder: Path, output: Path) -> None:
    """What a finished training makes of its test set, which was checked before it began."""
    for line in _all(load_voice(model), list_test_set(folder), output, Options()):
        log.info("%s", line)


def _all(voice: Voice, paths: Sequence[Path], output: Path, options: Options) -> Iterator[str]:
    spec = voice.mels.input
    sources = [checked(path, spec, options, voice.statistics) for path in paths]
    synthesizer = Synthesizer(voice.generator)

    def play(source: Source) -> Iterator[Tensor]:
        for mel in mel_blocks(source, spec, options):
            yield synthesizer.push(mel)
        yield synthesizer.finish()

    yield from written(sources, output, options, spec, play)


def in_words(voice: Voice) -> str:
    """What it plays, in a line: to be compared with what one has."""
    spec = voice.mels.input
    return (
        f"{voice.generator.spec.num_parameters:,} parameters; mel: {spec.n_mels} bins, {spec.fmin:g} to "
        f"{spec.top:g} Hz, n_fft {spec.n_fft}, win {spec.win_length}, hop {spec.hop_length} at "
        f"{spec.sample_rate} Hz, natural log of magnitudes"
    )

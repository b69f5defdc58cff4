"""From mel spectrograms or recordings to sound, of any length in constant memory.

Letters: M mels, F frames, L samples.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from namexp.audio.mel_blocks import log_mel_blocks
from namexp.audio.wav import Samples, open_wav, read_wav, write_wav_blocks
from namexp.door import shown
from namexp.errors import UserError
from namexp.models.hifigan.synthesizer import Synthesizer
from namexp.tasks.vocoder.layout import GENERATED
from namexp.tasks.vocoder.mels import MelScale, read_mel, remarks, unlike
from namexp.tasks.vocoder.testset import check_test_set
from namexp.tasks.vocoder.weights.loading import load_voice
from namexp.tasks.vocoder.weights.voice import Voice

log = logging.getLogger(__name__)

SUFFIXES = (".wav", ".npy")
CHUNK_SECONDS = 10.0


@dataclass(frozen=True)
class Options:
    """How it is done.

    Attributes:
        float32: 32-bit float instead of 16-bit integers.
        mel_scale: of the values in ``.npy`` files.
        match_length: as long as the recording; else whole frames.
        chunk_seconds: that are held at a time; the output does not depend on it.
        test: whether the input is a test set.
        expected_files: that a test set has.
        accept_untested: whether another number is taken without a question.
    """

    float32: bool = False
    mel_scale: MelScale = "natural"
    match_length: bool = False
    chunk_seconds: float | None = None
    test: bool = False
    expected_files: int = 3
    accept_untested: bool = False


class Source(NamedTuple):
    """One file that becomes sound.

    Attributes:
        path: a recording or a mel.
        samples: of the recording; None of a mel.
        frames: of its mel.
    """

    path: Path
    samples: int | None
    frames: int


def synthesize(
    model: Path, inputs: Sequence[Path], output: Path, options: Options, *, config: Path | None = None
) -> None:
    """Write ``generated-<name>.wav`` of every input; nothing before all of them have been checked.

    Args:
        model: whatever ``load_voice`` opens.
        inputs: recordings, mels, or directories of them.
        output: the directory.
        options: how.
        config: an official ``config.json``.

    Raises:
        UserError: a model or an input that cannot be used, in one line.
    """
    if options.chunk_seconds is not None and not options.chunk_seconds > 0:
        raise UserError(f"--chunk-seconds (= {options.chunk_seconds:g}) must be above 0.")
    paths = _test_set(inputs, options) if options.test else _collected(inputs, output)
    _refuse_same_names(paths)
    voice = load_voice(model, config)
    log.info("%s: %s", model, in_words(voice))
    sources = [_checked(path, voice, options) for path in paths]
    for line in _written(voice, sources, output, options):
        print(line)


def synthesize_test_set(model: Path, folder: Path, output: Path) -> None:
    """What a finished training makes of its test set, which was checked before it began."""
    voice, options = load_voice(model), Options()
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in (".wav", ".flac")]
    _refuse_same_names(paths)
    sources = [_checked(path, voice, options) for path in paths]
    for line in _written(voice, sources, output, options):
        log.info("%s", line)


def in_words(voice: Voice) -> str:
    """What it plays, in a line: to be compared with what one has."""
    spec = voice.mels.input
    return (
        f"{voice.generator.spec.num_parameters:,} parameters; mel: {spec.n_mels} bins, {spec.fmin:g} to "
        f"{spec.top:g} Hz, n_fft {spec.n_fft}, win {spec.win_length}, hop {spec.hop_length} at "
        f"{spec.sample_rate} "
        "Hz, natural log of magnitudes"
    )


# --- what there is to do ----------------------------------------------------------------------------


def _test_set(inputs: Sequence[Path], options: Options) -> list[Path]:
    if len(inputs) != 1 or not inputs[0].is_dir():
        raise UserError(f"--test takes one directory, the test set, and got {', '.join(map(str, inputs))}.")
    return check_test_set(inputs[0], expected=options.expected_files, accept_untested=options.accept_untested)


def _collected(inputs: Sequence[Path], output: Path) -> list[Path]:
    """Files as they are, of directories those in them, but for what this command wrote itself."""
    found: list[Path] = []
    for path in inputs:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in SUFFIXES and p.is_file()]
        own = [p for p in inside if output.resolve() not in p.resolve().parents or path == output]
        if not own:
            raise UserError(f"{path}: holds no .wav and no .npy to synthesise from.")
        found += own
    return found


def _refuse_same_names(paths: Iterable[Path]) -> None:
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise UserError(
                f"{path}: would be written to {GENERATED.format(path.stem)}, as {names[path.stem]} is; give "
                "them "
                "other names, or one after the other."
            )
        names[path.stem] = path


def _checked(path: Path, voice: Voice, options: Options) -> Source:
    """An input that can be used: read to its end, so that nothing is written before a fault is found."""
    spec = voice.mels.input
    if path.suffix.lower() == ".npy":
        mel = read_mel(path, spec.n_mels, scale=options.mel_scale)
        unusual = unlike(mel, voice.statistics) if voice.statistics else []
        for remark in (*remarks(mel, options.mel_scale), *unusual):
            log.warning("notice: %s: %s", path, remark)
        return Source(path, None, mel.shape[1])
    with open_wav(path) as wav:
        if wav.sample_rate != spec.sample_rate:
            raise UserError(
                f"{path}: is recorded at {wav.sample_rate} Hz and the model works at {spec.sample_rate} Hz; "
                "convert the recording to the model's rate."
            )
        if wav.num_samples < spec.least_samples:
            raise UserError(
                f"{path}: has {wav.num_samples} samples and must have at least {spec.least_samples}, from "
                "which a "
                "mel spectrogram can be taken."
            )
        for _ in wav.blocks():
            pass  # refuses what is not finite
        samples = wav.num_samples
    frames = -(-samples // spec.hop_length) if options.match_length else samples // spec.hop_length
    return Source(path, samples, frames)


# --- doing it ---------------------------------------------------------------------------------------


def _written(voice: Voice, sources: Sequence[Source], output: Path, options: Options) -> Iterator[str]:
    """A line for each file, when it is there."""
    rate, hop = voice.sample_rate, voice.mels.input.hop_length
    output.mkdir(parents=True, exist_ok=True)
    total = sum(source.frames for source in sources) * hop / rate
    form = "{desc} {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s of audio, {remaining} left"
    with tqdm(total=total, desc="synthesising", delay=1.0, leave=False, bar_format=form) as bar:
        for source in sources:
            path = output / GENERATED.format(source.path.stem)
            length = source.samples if source.samples and options.match_length else source.frames * hop
            blocks = _counted(_blocks(voice, source, options, length), bar, rate)
            write_wav_blocks(path, blocks, rate, pcm16=not options.float32)
            yield f"{shown(path)}: {length} samples at {rate} Hz{_missing(source, length, hop)}"


def _missing(source: Source, length: int, hop: int) -> str:
    if source.samples is None or source.samples == length:
        return ""
    return (
        f", {source.samples - length} fewer than {source.path.name}: whole frames of {hop} samples; "
        "--match-length "
        "fills up"
    )


def _counted(blocks: Iterable[Samples], bar: tqdm, rate: int) -> Iterator[Samples]:
    for block in blocks:
        bar.update(block.size / rate)
        yield block


def _blocks(voice: Voice, source: Source, options: Options, length: int) -> Iterator[Samples]:
    """(L,) samples at a time, ``length`` in all."""
    spec, synthesizer = voice.mels.input, Synthesizer(voice.generator)
    seconds = options.chunk_seconds or CHUNK_SECONDS
    frames = max(1, math.ceil(seconds * spec.sample_rate / spec.hop_length))
    left = length
    for audio in _played(synthesizer, _mel_blocks(voice, source, options, frames)):
        piece = audio[:left]
        left -= piece.numel()
        if not bool(torch.isfinite(piece).all()):
            raise UserError(f"{voice.source}: its output is not finite; the model is broken.")
        if piece.numel():
            yield piece.numpy()


def _played(synthesizer: Synthesizer, mels: Iterable[Tensor]) -> Iterator[Tensor]:
    for mel in mels:
        yield synthesizer.push(mel)
    yield synthesizer.finish()


def _mel_blocks(voice: Voice, source: Source, options: Options, frames: int) -> Iterator[Tensor]:
    spec = voice.mels.input
    if source.samples is None:
        mel = torch.from_numpy(read_mel(source.path, spec.n_mels, scale=options.mel_scale))
        yield from mel.split(frames, dim=1)
        return
    samples = torch.from_numpy(read_wav(source.path).samples)
    missing = source.frames * spec.hop_length - samples.numel()
    if missing > 0:
        samples = torch.nn.functional.pad(samples, (0, missing))
    yield from log_mel_blocks(samples, spec, frames)

"""Recordings and mels that are to become sound: found, checked to their end, read in pieces, written.

Letters: M mels, F frames, L samples.
"""

from __future__ import annotations

import logging
import math
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

from namexp.audio.mel_blocks import log_mel_blocks
from namexp.audio.mel_scale import MelSpec
from namexp.audio.wav import Lossy, Samples, open_wav, read_wav, write_wav_blocks
from namexp.door import shown
from namexp.errors import UserError
from namexp.tasks.vocoder.layout import GENERATED
from namexp.tasks.vocoder.mels import MelScale, read_mel, remarks, unlike
from namexp.tasks.vocoder.testset import check_test_set

log = logging.getLogger(__name__)

RECORDINGS = (".wav", ".flac")
SUFFIXES = (*RECORDINGS, ".npy")
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

    def __post_init__(self) -> None:
        """Ranges."""
        if self.chunk_seconds is not None and not 0 < self.chunk_seconds < math.inf:
            raise UserError(f"--chunk-seconds (= {self.chunk_seconds:g}) must be above 0.")

    @classmethod
    def of(cls, arguments: Namespace) -> Options:
        """What the command line says."""
        return cls(
            float32=arguments.float,
            mel_scale=arguments.mel_scale,
            match_length=arguments.match_length,
            chunk_seconds=arguments.chunk_seconds,
            test=arguments.test,
            expected_files=arguments.expected_files,
            accept_untested=arguments.accept_untested,
        )

    def chunk_frames(self, spec: MelSpec) -> int:
        """That are held at a time."""
        seconds = self.chunk_seconds or CHUNK_SECONDS
        return max(1, math.ceil(min(seconds, 3600.0) * spec.sample_rate / spec.hop_length))


class Source(NamedTuple):
    """One file that becomes sound.

    Attributes:
        path: a recording or a mel.
        samples: of the recording; None of a mel.
        hops: whole frames of it that become sound.
    """

    path: Path
    samples: int | None
    hops: int


# --- what there is to do ----------------------------------------------------------------------------


def collected(inputs: Sequence[Path], output: Path, options: Options) -> list[Path]:
    """The files to play: a test set, or files as they are and of directories those in them.

    What lies in the output directory was written by this command before, and is left out.

    Raises:
        UserError: nothing there, two of one name, or a test set that is none.
    """
    paths = _test_set(inputs, output, options) if options.test else _files(inputs, output)
    refuse_same_names(paths)
    return paths


def checked_test_set(folder: Path, spec: MelSpec, *, expected: int, accept_untested: bool) -> None:
    """See that a test set can be played when a training is over.

    Raises:
        UserError: another number of files, two of one name, or one that cannot be played.
    """
    paths = check_test_set(folder, expected=expected, accept_untested=accept_untested)
    refuse_same_names(paths)
    for path in paths:
        checked(path, spec, Options())


def _test_set(inputs: Sequence[Path], output: Path, options: Options) -> list[Path]:
    if len(inputs) != 1 or not inputs[0].is_dir():
        raise UserError(f"--test takes one directory, the test set, and got {', '.join(map(str, inputs))}.")
    return check_test_set(
        inputs[0],
        expected=options.expected_files,
        accept_untested=options.accept_untested,
        ignored=lambda path: _written_here(path, output),
    )


def _files(inputs: Sequence[Path], output: Path) -> list[Path]:
    return files_in(inputs, SUFFIXES, ignored=lambda path: _written_here(path, output))


def files_in(
    paths: Sequence[Path],
    suffixes: Sequence[str] = RECORDINGS,
    *,
    ignored: Callable[[Path], bool] = lambda _: False,
) -> list[Path]:
    """Files as they are, and of directories those in them, at any depth.

    Args:
        paths: of both.
        suffixes: of files in directories.
        ignored: what is left out of directories.

    Raises:
        UserError: a directory without any.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = [p for p in sorted(path.rglob("*")) if p.suffix.lower() in suffixes and p.is_file()]
        own = [p for p in inside if not ignored(p)]
        if not own:
            raise UserError(f"{path}: holds no {' and no '.join(suffixes)}.")
        found += own
    return found


def _written_here(path: Path, output: Path) -> bool:
    begin = GENERATED.split("{}")[0]
    return path.name.startswith(begin) and output.resolve() in path.resolve().parents


def refuse_same_names(paths: Iterable[Path], written: str = GENERATED) -> None:
    """Two files of one name would be written to one.

    Args:
        paths: of the files.
        written: the name of what is written, for a file's own.

    Raises:
        UserError: there are two.
    """
    names: dict[str, Path] = {}
    for path in paths:
        if path.stem in names:
            raise UserError(
                f"{path}: would be written to {written.format(path.stem)}, as {names[path.stem]} is; give "
                "them other names, or one after the other."
            )
        names[path.stem] = path


def checked(
    path: Path,
    spec: MelSpec,
    options: Options,
    statistics: Mapping[str, Any] | None = None,
    *,
    lossy: Lossy = "noticed",
) -> Source:
    """A file that can be used: read to its end, so that nothing is written before a fault is found.

    Args:
        path: of the file.
        spec: of the model's mel.
        options: how it is done.
        statistics: of the mels that the model learned from; a mel that is unlike them is noticed.
        lossy: what becomes of MP3 and the like: "refused" where the recording is what should come out.

    Raises:
        UserError: it cannot be used.
    """
    if path.suffix.lower() == ".npy":
        mel = read_mel(path, spec.n_mels, scale=options.mel_scale)
        unusual = unlike(mel, statistics) if statistics else []
        for remark in (*remarks(mel, options.mel_scale), *unusual):
            log.warning("notice: %s: %s", path, remark)
        hops = mel.shape[1] - spec.centered
        if hops < 1:
            raise UserError(f"{path}: has {mel.shape[1]} frame, and sound lies between two of them.")
        return Source(path, None, hops)
    with open_wav(path, lossy=lossy) as wav:
        check_recording(path, wav.sample_rate, wav.num_samples, spec)
        wav.read_through()
        samples = wav.num_samples
    hop = spec.hop_length
    return Source(path, samples, -(-samples // hop) if options.match_length else samples // hop)


def check_recording(path: Path, sample_rate: int, num_samples: int, spec: MelSpec) -> None:
    """A recording must have the model's rate, and enough samples for a mel.

    Raises:
        UserError: it has not.
    """
    if sample_rate != spec.sample_rate:
        raise UserError(
            f"{path}: is recorded at {sample_rate} Hz and the model works at {spec.sample_rate} Hz; convert "
            "the "
            "recording to the model's rate."
        )
    if num_samples < spec.least_samples:
        raise UserError(
            f"{path}: has {num_samples} samples and must have at least {spec.least_samples}, from which a "
            "mel "
            "spectrogram can be taken."
        )


# --- doing it ---------------------------------------------------------------------------------------


def mel_blocks(source: Source, spec: MelSpec, options: Options) -> Iterator[Tensor]:
    """(M, F) log mel of a source, some frames at a time."""
    frames = options.chunk_frames(spec)
    if source.samples is None:
        mel = torch.from_numpy(read_mel(source.path, spec.n_mels, scale=options.mel_scale))
        yield from mel.split(frames, dim=1)
        return
    samples = torch.from_numpy(read_wav(source.path, lossy="taken").samples)  # it was noticed
    missing = source.hops * spec.hop_length - samples.numel()
    if missing > 0:
        samples = torch.nn.functional.pad(samples, (0, missing))
    yield from log_mel_blocks(samples, spec, frames)


def written(
    sources: Sequence[Source],
    output: Path,
    options: Options,
    spec: MelSpec,
    play: Callable[[Source], Iterable[Tensor]],
) -> Iterator[str]:
    """Write ``generated-<name>.wav`` of every source; a line for each when it is there.

    Args:
        sources: that were checked.
        output: the directory.
        options: how.
        spec: of the model's mel.
        play: the (L,) samples of a source, piece by piece.

    Raises:
        UserError: what is played is not finite; the file is then not there.
    """
    rate, hop = spec.sample_rate, spec.hop_length
    output.mkdir(parents=True, exist_ok=True)
    total = sum(source.hops for source in sources) * hop / rate
    form = "{desc} {percentage:3.0f}%|{bar}| {n:.0f} of {total:.0f} s of audio, {remaining} left"
    with tqdm(total=total, desc="synthesising", delay=1.0, leave=False, bar_format=form) as bar:
        for source in sources:
            path = output / GENERATED.format(source.path.stem)
            length = source.samples if source.samples and options.match_length else source.hops * hop
            blocks = _counted(_cut(play(source), length), bar, rate)
            write_wav_blocks(path, blocks, rate, pcm16=not options.float32)
            yield f"{shown(path)}: {length} samples at {rate} Hz{_missing(source, length, hop)}"


def _missing(source: Source, length: int, hop: int) -> str:
    if source.samples is None or source.samples == length:
        return ""
    fewer = source.samples - length
    return f", {fewer} fewer than {source.path.name}: whole frames of {hop} samples; --match-length fills up"


def _counted(blocks: Iterable[Samples], bar: tqdm, rate: int) -> Iterator[Samples]:
    for block in blocks:
        bar.update(block.size / rate)
        yield block


def _cut(pieces: Iterable[Tensor], length: int) -> Iterator[Samples]:
    """``length`` samples in all."""
    left = length
    for audio in pieces:
        piece = audio[:left]
        left -= piece.numel()
        if not bool(torch.isfinite(piece).all()):
            raise UserError("the model's output is not finite: it is broken, or was trained to no end.")
        if piece.numel():
            yield piece.numpy()

"""Which files train and which validate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from namexp.audio.mel_scale import MelSpec
from namexp.data.clip_lists import SUFFIXES, Entry, find, leaves, read_list, without_suffix
from namexp.data.splits import PART_THEMSELVES, parted
from namexp.data.utterances import Utterance, each, measured, refuse_shared
from namexp.errors import UserError
from namexp.tasks.vocoder.config.data import SpeechData

log = logging.getLogger(__name__)

TRAIN_LISTS = ("train.txt", "training.txt")  # the second: of the official code
VALIDATION_LISTS = ("validation.txt",)
METADATA = "metadata.csv"
TAIL = "its end (the last tenth, at most 150 clips, validates)"

Lists = tuple[Path, Path]
Found = list[tuple[Entry, Path]]


def find_clips(config: SpeechData, mel: MelSpec) -> tuple[list[Utterance], list[Utterance]]:
    """The clips of both parts, all headers read.

    Raises:
        UserError: something is missing, listed twice, not as it must be, or not as many as expected.
    """
    directory = Path(str(config.dir))
    if not directory.is_dir():
        raise UserError(f"data.dir (= {directory}): no such directory.")
    lists = _lists(config, directory)
    if lists is not None:
        train, validation = (_files(read_list(path), path, directory) for path in lists)
        sources = tuple(str(path) for path in lists)
    else:
        train, validation = _by_rule(config, directory)
        sources = (f"{_clips_named_by(directory)}, parted by {config.split or TAIL}",) * 2
    for part, found, source in (("train", train, sources[0]), ("validation", validation, sources[1])):
        _expect(len(found), getattr(config, f"expected_{part}_clips"), part, source)
    parts = [_measured(part, name, mel) for part, name in ((train, "train"), (validation, "validation"))]
    refuse_shared(*parts)
    return parts[0], parts[1]


def _lists(config: SpeechData, directory: Path) -> Lists | None:
    """Those that are named, or that lie in the directory; None where its metadata.csv is to be parted."""
    given = config.train_list, config.validation_list
    if given == (None, None) and config.split in PART_THEMSELVES:
        return None
    train = _list(given[0], TRAIN_LISTS, directory)
    validation = _list(given[1], VALIDATION_LISTS, directory)
    if train is not None and validation is not None:
        return train, validation
    if train is None and validation is None and (directory / METADATA).is_file():
        return None
    lacking, name = ("train", TRAIN_LISTS[0]) if train is None else ("validation", VALIDATION_LISTS[0])
    rest = f", and no {METADATA} to part" if train is None and validation is None else ""
    raise UserError(
        f"data.dir (= {directory}): holds no {name}{rest}; name the list by data.{lacking}_list=FILE."
    )


def _list(given: str | None, usual: Sequence[str], directory: Path) -> Path | None:
    """A list as it was named, in the directory or from here; else the one that lies there by a usual name."""
    if given is None:
        return next((directory / name for name in usual if (directory / name).is_file()), None)
    inside = directory / given
    return inside if inside.is_file() or not Path(given).is_file() else Path(given)


def _by_rule(config: SpeechData, directory: Path) -> tuple[Found, Found]:
    """The clips of metadata.csv, parted by the split; those that neither part takes are left out.

    Where there is no metadata.csv, all that lie in wavs/ or in the directory itself.
    """
    path = _clips_named_by(directory)
    listed = read_list(path) if path.name == METADATA else _lying_in(path)
    if not listed:
        raise UserError(
            f"data.dir (= {directory}): holds no {METADATA}, which data.split={config.split} parts, and no "
            "clips."
        )
    entries = {entry.name: entry for entry in listed}
    names = parted(list(entries), config.split)
    log.info("%s: %d clips, parted by %s", path, len(entries), config.split or TAIL)
    train, validation = (_files([entries[name] for name in part], path, directory) for part in names)
    return train, validation


def _clips_named_by(directory: Path) -> Path:
    """The metadata.csv, or the folder of the clips."""
    wavs = directory / "wavs"
    metadata = directory / METADATA
    return metadata if metadata.is_file() else wavs if wavs.is_dir() else directory


def _lying_in(folder: Path) -> list[Entry]:
    """Its clips, by name."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    return [Entry(path.name, number, is_id=True) for number, path in enumerate(paths, 1)]


def _files(entries: Sequence[Entry], source: Path, directory: Path) -> Found:
    found = [(entry, find(entry, directory, source.parent)) for entry in entries]
    missing = [entry for entry, path in found if path is None]
    if missing:
        first = missing[0]
        others = f" ({len(missing)} of its {len(entries)} clips are missing)" if len(missing) > 1 else ""
        where = f"{directory / 'wavs'} or {directory}"
        raise UserError(
            f"{source}: line {first.line}: {first.name} is not in {where}{others}; check data.dir and "
            "the list."
        )
    return [(entry, path) for entry, path in found if path is not None]


def _expect(found: int, expected: int | None, part: str, source: str) -> None:
    if expected is not None and found != expected:
        raise UserError(
            f"{source}: has {_clips(found)} for {part} and data.expected_{part}_clips says {expected}; check "
            f"that the set is complete, or set data.expected_{part}_clips={found or 'null'}."
        )
    if not found:
        raise UserError(f"{source}: has no clips for {part}; write train.txt and validation.txt.")


def _clips(number: int) -> str:
    return "1 clip" if number == 1 else f"{number} clips"


def least_samples(mel: MelSpec) -> int:
    """Of a clip or segment: fewer cannot be reflected at the ends, or fill no frame."""
    return max(mel.least_samples, mel.n_fft - 2 * mel.padding)


def _measured(found: Found, part: str, mel: MelSpec) -> list[Utterance]:
    def measure(item: tuple[Entry, Path]) -> Utterance:
        entry, path = item
        name = Path(entry.name).name if leaves(entry.name) else entry.name
        return measured(
            without_suffix(name), path, sample_rate=mel.sample_rate, least_samples=least_samples(mel)
        )

    return list(each(measure, found, f"opening clips for {part}"))

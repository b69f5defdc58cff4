"""Clips of speech on disk: found, their headers checked, their content named by a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

from tqdm import tqdm

from namexp.audio.wav import open_wav, read_wav
from namexp.errors import UserError

T = TypeVar("T")
R = TypeVar("R")

SILENT_SECONDS = 3.0  # what takes longer shows how far it is
READERS = 4  # files at a time
CHUNK = 1 << 20


class Utterance(NamedTuple):
    """One clip.

    Attributes:
        name: without directory of the set and suffix.
        path: of its file; None: a clip of the embedded set.
        num_samples: of it.
        mel: file of its stored mel spectrogram; None: it is computed.
    """

    name: str
    path: str | None
    num_samples: int
    mel: str | None = None


def measured(name: str, path: Path, *, sample_rate: int, least_samples: int) -> Utterance:
    """A clip whose header is as it must be; its samples are not read.

    Raises:
        UserError: it is no audio, or not mono, of another rate, or too short.
    """
    with open_wav(path) as wav:
        if wav.sample_rate != sample_rate:
            raise UserError(
                f"{path}: is recorded at {wav.sample_rate} Hz and the model works at {sample_rate} Hz; "
                "resample the clips, or choose a model of their rate."
            )
        if wav.num_samples < least_samples:
            raise UserError(
                f"{path}: has {wav.num_samples} samples and must have at least {least_samples}, of which a "
                "mel frame is made; leave it out of the list."
            )
        return Utterance(name, str(path), wav.num_samples)


def refuse_shared(train: Sequence[Utterance], validation: Sequence[Utterance]) -> None:
    """No file twice, and none in both parts.

    Raises:
        UserError: the first that is.
    """
    seen: dict[str, tuple[str, str]] = {}
    for part, utterances in (("train", train), ("validate", validation)):
        for utterance in utterances:
            assert utterance.path is not None, "clips of a directory"
            key = str(Path(utterance.path).resolve())
            if key not in seen:
                seen[key] = (part, utterance.name)
                continue
            other, name = seen[key]
            if other != part:
                raise UserError(
                    f"{utterance.path}: clip {utterance.name} is listed to train and to validate; what is "
                    "trained on cannot validate, remove it from one of the lists."
                )
            raise UserError(
                f"{utterance.path}: is listed twice to {part}, as {name} and as {utterance.name}; remove one."
            )


def digest_of_files(paths: Sequence[Path], what: str) -> str:
    """The sha256 of the contents of files, in their order; every one is read.

    Raises:
        UserError: a file with numbers that are not finite, or that is not whole: only those are decoded of
            which the header cannot tell.
    """
    digest = hashlib.sha256()
    for found in each(_digest, paths, what):
        digest.update(found)
    return digest.hexdigest()


def _digest(path: Path) -> bytes:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            head = file.read(CHUNK)
            digest.update(head)
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}.") from None
    if _must_be_decoded(head):
        read_wav(path)
    return digest.digest()


def _must_be_decoded(head: bytes) -> bool:
    """Whether a file may hold what its header does not tell: all but integer WAV, whose length is checked.

    Numbers that are not finite, or, packed as in FLAC, fewer samples than it says.
    """
    if head[:4] == b"RIFF":
        place = head.find(b"fmt ")
        # 1: integers; 0xFFFE: of a kind that stands further on, its first two bytes are such a number again
        kind = int.from_bytes(head[place + 8 : place + 10], "little")
        if kind == 0xFFFE:
            kind = int.from_bytes(head[place + 32 : place + 34], "little")
        return kind != 1
    return head[:4] != b"\x93NUM"


def each(work: Callable[[T], R], items: Sequence[T], what: str) -> Iterable[R]:
    """Results in order, a few at a time, with a bar where it takes long."""
    with ThreadPoolExecutor(READERS) as pool:
        try:
            yield from tqdm(
                pool.map(work, items), total=len(items), desc=what, delay=SILENT_SECONDS, leave=False
            )
        except BaseException:
            pool.shutdown(cancel_futures=True)  # nobody waits for the rest
            raise

"""What the header of a sound file says about its length, held against the file itself.

libsndfile reads what it finds: of a recording that was cut off, or whose header was never finished, it gives
a part without a word. So the containers that namexp reads are walked through before it is asked.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from namexp.audio.compressed import flac, mp3, ogg, without_tag


class UnsoundError(Exception):
    """A file that is not whole, or says of itself what is not so; why, and what to do."""


class Stated(NamedTuple):
    """What a header says.

    Attributes:
        data_bytes: of the samples, where they are stored as they are; None: they are packed.
        num_samples: in each channel; None: it follows from ``data_bytes``.
        md5: of the samples, by which a FLAC file can be told to be whole; None: it has none.
    """

    data_bytes: int | None = None
    num_samples: int | None = None
    md5: bytes | None = None


class _Chunks(NamedTuple):
    """How a container made of chunks is laid out.

    Attributes:
        first: where its first chunk begins.
        id_bytes: of a chunk's name.
        size: of the number behind it, in the words of ``struct``.
        counts_itself: whether a chunk's size includes its name and the number.
        aligned: to how many bytes chunks are filled up.
        data: the name of the chunk with the samples.
        before: bytes of it that come before them.
    """

    first: int
    id_bytes: int
    size: str
    counts_itself: bool
    aligned: int
    data: bytes
    before: int = 0


_WAV = _Chunks(12, 4, "<I", False, 2, b"data")
_WAV_BIG_ENDIAN = _WAV._replace(size=">I")
_AIFF = _Chunks(12, 4, ">I", False, 2, b"SSND", before=8)
_CAF = _Chunks(8, 4, ">q", False, 2, b"data", before=4)  # not by the book, but by libsndfile
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # of every chunk's name but the first
_W64 = _Chunks(40, 16, "<q", True, 8, b"data" + _W64_TAIL)


def stated(file: BinaryIO) -> Stated | None:
    """What the header of a file says; None where it is of no container that namexp reads.

    Raises:
        UnsoundError: it says what is not so.
    """
    start = without_tag(file)
    file.seek(start)
    head = file.read(16)
    for begins, reads in _KNOWN:
        if begins(head):
            return reads(file, start)
    return None


def _riff(file: BinaryIO, start: int) -> Stated:
    return Stated(data_bytes=_data_bytes(file, start, _WAV))


def _rifx(file: BinaryIO, start: int) -> Stated:
    return Stated(data_bytes=_data_bytes(file, start, _WAV_BIG_ENDIAN))


def _rf64(file: BinaryIO, start: int) -> Stated:
    """A WAV whose lengths stand in the chunk ds64, as they do not fit into 32 bits."""
    file.seek(start + 12)
    head = file.read(24)
    if head[:4] != b"ds64" or len(head) < 24:
        raise UnsoundError("its header lacks the chunk ds64, which says how long it is; export it again.")
    return Stated(data_bytes=_data_bytes(file, start, _WAV, int.from_bytes(head[16:24], "little")))


def _w64(file: BinaryIO, start: int) -> Stated:
    return Stated(data_bytes=_data_bytes(file, start, _W64))


def _caf(file: BinaryIO, start: int) -> Stated:
    return Stated(data_bytes=_data_bytes(file, start, _CAF))


def _aiff(file: BinaryIO, start: int) -> Stated:
    data_bytes = _data_bytes(file, start, _AIFF)
    for name, place, size in _walk(file, start, _AIFF):
        if name == b"COMM" and size >= 6:
            file.seek(place)
            return Stated(data_bytes, int.from_bytes(file.read(6)[2:], "big"))
    raise UnsoundError("its header lacks the chunk COMM, which says what it holds; export it again.")


def _au(file: BinaryIO, start: int) -> Stated:
    file.seek(start)
    head = file.read(12)
    order = ">" if head[:1] == b"." else "<"
    if len(head) < 12:
        raise UnsoundError("it ends in its header; export it again.")
    offset, size = struct.unpack(f"{order}II", head[4:])
    there = _length(file) - start - offset
    if size != there:
        raise _other_length(size, there)
    return Stated(data_bytes=size)


def _flac(file: BinaryIO, start: int) -> Stated:
    num_samples, md5 = flac(file, start)
    if num_samples == 0:
        raise UnsoundError(_UNFINISHED.format("0 samples"))
    return Stated(num_samples=num_samples, md5=md5)


def _mp3(file: BinaryIO, start: int) -> Stated:
    size = mp3(file, start)
    if size is None:
        raise UnsoundError(
            "its header does not say how long it is (an MP3 without a Xing header, which also begins late); "
            "export the recording as WAV or FLAC."
        )
    there = _length(file) - start
    if size > there:
        raise _other_length(size, there)
    return Stated()


def _ogg(file: BinaryIO, start: int) -> Stated:
    del start
    if not ogg(file):
        raise UnsoundError("it is cut off: its last page is not the end; export it again.")
    return Stated()


_KNOWN: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, int], Stated]], ...] = (
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE", _riff),
    (lambda head: head[:4] == b"RIFX" and head[8:12] == b"WAVE", _rifx),
    (lambda head: head[:4] == b"RF64" and head[8:12] == b"WAVE", _rf64),
    (lambda head: head[:4] == b"riff", _w64),
    (lambda head: head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"), _aiff),
    (lambda head: head[:4] == b"caff", _caf),
    (lambda head: head[:4] in (b".snd", b"dns."), _au),
    (lambda head: head[:4] == b"fLaC", _flac),
    (lambda head: head[:4] == b"OggS", _ogg),
    (lambda head: head[:1] == b"\xff" and len(head) > 1 and head[1] >= 0xE0, _mp3),
)


# --- chunks -----------------------------------------------------------------------------------------


def _data_bytes(file: BinaryIO, start: int, form: _Chunks, stands_elsewhere: int | None = None) -> int:
    """How many bytes of samples there are, all of which lie in the file."""
    end, found = _length(file), None
    for name, place, size in _walk(file, start, form, stands_elsewhere):
        if name != form.data:
            # whatever follows the sound must be a chunk again: else it is sound that nobody counted
            if found is not None and not (_is_name(name) and 0 <= size <= end - place):
                raise _more(found, end - place + _head(form))
            continue
        if found is not None:
            raise UnsoundError("it has two chunks of samples; export it again.")
        if size < form.before or place + size > end:
            raise _other_length(size - form.before, max(0, end - place - form.before))
        found = size - form.before
    if found is None:
        raise UnsoundError("it holds no sound: its header is followed by no samples; export it again.")
    return found


def _walk(
    file: BinaryIO, start: int, form: _Chunks, stands_elsewhere: int | None = None
) -> Iterator[tuple[bytes, int, int]]:
    """(name, first byte, size) of every chunk, to the end of the file.

    A size is as it is said, and may reach beyond the end: then it is the last.
    """
    end, place, head = _length(file), start + form.first, _head(form)
    while place < end:
        file.seek(place)
        content = file.read(head)
        name = content[: form.id_bytes]
        size = struct.unpack(form.size, content[form.id_bytes :])[0] if len(content) == head else -1
        size -= head if form.counts_itself else 0
        if name == form.data and size == 2**32 - 1 and stands_elsewhere is not None:
            size = stands_elsewhere
        yield name, place + head, size
        if size < 0:
            return
        place = _next(file, place + head + size, start, form)


def _head(form: _Chunks) -> int:
    """Bytes of a chunk before its content."""
    return form.id_bytes + struct.calcsize(form.size)


def _next(file: BinaryIO, place: int, start: int, form: _Chunks) -> int:
    """Where the next chunk begins: filled up to full words, which some programs forget."""
    filled = place + -(place - start) % form.aligned
    if filled != place:
        file.seek(place)
        if _is_name(file.read(4)):
            return place
    return filled


def _is_name(name: bytes) -> bool:
    """Whether these bytes can be the name of a chunk, which is text."""
    return len(name) >= 4 and all(0x20 <= byte < 0x7F for byte in name[:4])


_UNFINISHED = (
    "its header was never finished: it says {}; open it in an audio editor, see that it is whole, and "
    "export it."
)


def _other_length(said: int, there: int) -> UnsoundError:
    if said < 0 or said in (2**32 - 1, 2**64 - 1):
        return UnsoundError(_UNFINISHED.format("no length"))
    if there > said:
        return _more(said, there - said)
    return UnsoundError(
        f"it is cut off: its header says {said} bytes of sound and {there} are there; copy or export it "
        "again."
    )


def _more(said: int, beyond: int) -> UnsoundError:
    if said == 0:
        return UnsoundError(_UNFINISHED.format("no sound, and there is some"))
    return UnsoundError(
        f"its header says {said} bytes of sound, and {beyond} more follow that are nothing else; open it in "
        "an audio editor, see that it is whole, and export it."
    )


def _length(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size

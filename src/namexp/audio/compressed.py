"""What the headers of compressed sound say about its length."""

from __future__ import annotations

from typing import BinaryIO

_TAG_HEAD = 10  # bytes of an ID3v2 tag before its content
_OGG_PAGE = 27 + 255 + 255 * 255  # the longest


def without_tag(file: BinaryIO) -> int:
    """Where the sound begins: behind an ID3v2 tag, if there is one."""
    file.seek(0)
    head = file.read(_TAG_HEAD)
    if head[:3] != b"ID3" or len(head) < _TAG_HEAD:
        return 0
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return _TAG_HEAD + size


def flac(file: BinaryIO, start: int) -> tuple[int, bytes | None]:
    """The number of samples, 0 where it is not known, and the MD5 of their bytes, if it is."""
    file.seek(start + 8)
    info = file.read(34)
    num_samples = int.from_bytes(info[10:18], "big") & (1 << 36) - 1
    md5 = info[18:34]
    return num_samples, md5 if len(md5) == 16 and any(md5) else None


def mp3(file: BinaryIO, start: int) -> int | None:
    """How many bytes the file has from its first frame on; None where it does not say."""
    file.seek(start)
    head = file.read(192)
    places = [place for place in map(head.find, (b"Xing", b"Info")) if place >= 0]
    if not places:
        return None
    place = min(places)
    flags = int.from_bytes(head[place + 4 : place + 8], "big")
    if not flags & 1:  # no number of frames
        return None
    return int.from_bytes(head[place + 12 : place + 16], "big") if flags & 2 else 0


def ogg(file: BinaryIO) -> bool:
    """Whether the last page is there as a whole, and says that it is the last."""
    file.seek(0, 2)
    end = file.tell()
    file.seek(max(0, end - _OGG_PAGE))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or not page[5] & 4:
        return False
    segments = page[27 : 27 + page[26]]
    return len(page) == 27 + page[26] + sum(segments)

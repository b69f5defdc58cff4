"""The clips that a run declares: its files found, guarded, and put into the page or beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from namexp.audio.wav import read_wav
from namexp.comparison.declared import Clip
from namexp.comparison.listening import Library
from namexp.errors import UserError, one_line

SHOWN = 12  # clips of a run; the others lie in its directory
PICTURE_BYTES = 4_000_000
PNG = b"\x89PNG\r\n\x1a\n"


def show_clips(
    library: Library, root: Path, clips: Sequence[Clip], name: str, *, inside: bool
) -> tuple[list[dict[str, Any]], list[str]]:
    """What the page needs of each clip, and a line for each file that cannot be shown.

    Args:
        library: of the page.
        root: the run directory.
        clips: that it declares.
        name: begins the names of its files; unique.
        inside: whether to put them into the page if it still has room.
    """
    shown, damages = [], list[str]()
    for k, clip in enumerate(clips[:SHOWN]):
        media: dict[str, Any] = {}
        for key, put in _PUT.items():
            path = getattr(clip, key)
            if path is None:
                continue
            try:
                media[key] = put(library, _inside(root, path), f"{name}_clip{k}_{key}", inside)
            except (UserError, OSError) as error:
                damages.append(f"clip {clip.name}: {one_line(error)}")
        shown.append({"name": clip.name, "why": clip.why, "figures": dict(clip.figures), **media})
    return shown, damages


def _inside(root: Path, name: str) -> Path:
    """The file ``name`` of the run; links must not lead out of it either.

    Raises:
        UserError: it lies elsewhere, or there is no such file.
    """
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise UserError(f"{name}: lies outside the run directory.")
    if not path.is_file():
        raise UserError(f"{name}: no such file.")
    return path


def _put_sound(library: Library, path: Path, name: str, inside: bool) -> dict[str, Any]:
    linked = None if inside else library.link(path)
    if linked is not None:
        return linked
    samples, rate = read_wav(path, lossy="taken")
    return library.sound(samples, rate, name, path, inside=inside)


def _put_target(library: Library, path: Path, name: str, inside: bool) -> dict[str, Any]:
    """Named by its content: runs share it."""
    del name
    content = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    return _put_sound(library, path, f"target_{content}", inside)


def _put_picture(library: Library, path: Path, name: str, inside: bool) -> dict[str, Any]:
    if path.stat().st_size > PICTURE_BYTES:
        raise UserError(f"{path.name}: is larger than {PICTURE_BYTES / 1e6:.0f} MB; draw it smaller.")
    content = path.read_bytes()
    if not content.startswith(PNG):
        raise UserError(f"{path.name}: is no PNG.")
    linked = None if inside else library.link(path)
    return linked or library.file(content, f"{name}.png", inside=inside)


_PUT: dict[str, Callable[[Library, Path, str, bool], dict[str, Any]]] = {
    "target": _put_target, "generated": _put_sound, "picture": _put_picture,
}  # fmt: skip

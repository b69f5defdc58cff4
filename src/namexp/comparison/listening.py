"""The sound and the pictures of the runs: what goes into the page, and what lies in a folder beside it.

Letters: L samples.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from namexp.atomic import write_atomically
from namexp.audio.level import db
from namexp.audio.wav import Samples, flac_bytes, read_wav
from namexp.comparison.budget import Budget, base64_size
from namexp.errors import UserError, one_line
from namexp.runs.layout import RunLayout

Clip = dict[str, Any]

FOLDER = "report_files"
OURS = ("run*_*.flac", "target_*.flac", "run*_*.png")  # in it
BITS = 16  # 96 dB: far below any difference worth hearing, and half the size


class Heard(NamedTuple):
    """The listening material of one size: (L,) each, aligned."""

    target: Samples
    prediction: Samples
    sample_rate: int


def read_heard(run: RunLayout, index: int) -> Heard | str | None:
    """The material of size ``index``.

    Returns:
        None where the run has none; one line where it cannot be used.
    """
    paths = run.audio_target, run.audio_prediction(index)
    if not all(path.exists() for path in paths):
        return None
    try:
        target, prediction = (read_wav(path) for path in paths)
    except (UserError, OSError) as error:
        return one_line(error)
    if target.sample_rate != prediction.sample_rate:
        return (
            f"{paths[1].name}: is at {prediction.sample_rate} Hz and its target at {target.sample_rate} Hz."
        )
    length = min(target.samples.size, prediction.samples.size)
    return Heard(target.samples[:length], prediction.samples[:length], target.sample_rate)


@dataclass
class Library:
    """Hands out clips: inside the page while ``budget`` lasts, else as files beside it.

    A clip is what the page needs to play it: ``blob`` (the id of a part of the page) or ``href``,
    and ``gain_db`` where it was turned down so as not to clip.

    Attributes:
        directory: of the page.
        budget: for sound inside the page.
        blobs: parts of the page by id, base64.
        used: names of the files in the folder that this report needs.
    """

    directory: Path
    budget: Budget
    blobs: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def clips(self, run: RunLayout, index: int, heard: Heard, name: str, *, inside: bool) -> dict[str, Clip]:
        """Target, prediction and their difference.

        Args:
            run: they come from.
            index: of the size.
            heard: its material.
            name: begins the names of its files; unique.
            inside: whether to put them into the page if it still has room.
        """
        rate = heard.sample_rate
        difference = heard.prediction - heard.target
        identity = hashlib.sha256(heard.target.tobytes()).hexdigest()[:12]
        return {
            "target": self.sound(heard.target, rate, f"target_{identity}", run.audio_target, inside=inside),
            "prediction": self.sound(
                heard.prediction, rate, f"{name}_prediction", run.audio_prediction(index), inside=inside
            ),
            "difference": self.sound(difference, rate, f"{name}_difference", None, inside=inside),
        }

    def sound(self, samples: Samples, rate: int, name: str, source: Path | None, *, inside: bool) -> Clip:
        """One clip: (L,) samples.

        Args:
            samples: full scale = 1.0; what is louder is turned down.
            rate: Hz.
            name: of its part or file; what several runs share has one name.
            source: the file that holds it already.
            inside: whether to put it into the page if it still has room.
        """
        turned_down = max(1.0, float(np.abs(samples).max(initial=0.0)))
        about: Clip = {"gain_db": round(-db(turned_down), 1)} if turned_down > 1.0 else {}
        if name in self.blobs:
            return {"blob": name, **about}
        file = f"{name}.flac"
        if not inside:
            linked = None if source is None else self.link(source)
            if linked is not None:
                return {**linked, **about}
            if file in self.used:
                return {"href": f"{FOLDER}/{file}", **about}
        content = flac_bytes(samples / np.float32(turned_down), rate, bits=BITS)
        return {**self.file(content, file, inside=inside), **about}

    def link(self, source: Path) -> Clip | None:
        """A file that lies below the page; None where it does not."""
        here, path = self.directory.resolve(), source.resolve()
        return {"href": path.relative_to(here).as_posix()} if path.is_relative_to(here) else None

    def file(self, content: bytes, file: str, *, inside: bool) -> Clip:
        """Bytes as a part of the page, or as a file beside it where they shall not be or are too many."""
        name = Path(file).stem
        if inside and self.budget.take(base64_size(len(content))):
            self.blobs[name] = base64.b64encode(content).decode("ascii")
            return {"blob": name}
        write_atomically(self.directory / FOLDER / file, lambda temporary: _fill(temporary, content))
        self.used.add(file)
        return {"href": f"{FOLDER}/{file}"}

    def tidy(self) -> None:
        """Delete the files that an earlier report left in the folder."""
        folder = self.directory / FOLDER
        for path in [path for pattern in OURS for path in folder.glob(pattern)]:
            if path.name not in self.used:
                path.unlink()
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _fill(path: Path, content: bytes) -> None:
    path.write_bytes(content)
